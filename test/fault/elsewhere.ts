/** Rows 1 to 3 and 23: tests with a home of their own, run from here so that one table holds them all. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Counts, FaultTest, Observed, Size } from './fault.ts'
import type { Lab } from './lab.ts'

const root = join(import.meta.dirname, '../..')

interface Ended {
  readonly code: number | null
  readonly output: string
  readonly complaints: string
}

async function runNode(lab: Lab, argv: readonly string[]): Promise<Ended> {
  const child = lab.spawn(process.execPath, argv, { env: { NODE_TEST_CONTEXT: undefined } })
  const { stdout, stderr } = child
  assert.ok(stdout !== null && stderr !== null)
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  const [output, complaints] = await Promise.all([text(stdout), text(stderr)])
  return { code: await ended, output, complaints }
}

/** Runs one test file; fails with the names of the tests that failed, returns how many passed. */
async function runTestFile(lab: Lab, file: string): Promise<number> {
  const options = ['--test', '--test-reporter=tap']
  const { output, complaints } = await runNode(lab, [...options, join(root, file)])
  const count = (what: string) => Number(new RegExp(`^# ${what} (\\d+)`, 'm').exec(output)?.[1] ?? Number.NaN)
  const failed = output.split('\n').filter((line) => /^\s*not ok/.test(line))
  assert.equal(count('fail'), 0, failed.join('\n'))
  assert.ok(count('pass') > 0, complaints)
  return [...output.matchAll(/^\s*ok \d+ - (.*)$/gm)].length
}

/** Runs the simulator; its totals by the names that it gives them. */
async function simulate(lab: Lab, argv: readonly string[]): Promise<Counts> {
  const { code, output, complaints } = await runNode(lab, [join(root, 'test/sim/main.ts'), '--json', ...argv])
  const line = output.split('\n').findLast((one) => one.startsWith('{'))
  assert.ok(code === 0 && line !== undefined, complaints.slice(-1_500))
  return JSON.parse(line) as Counts
}

/** `directorySyncsFailed` in words. */
function inWords(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

async function simulated(lab: Lab, size: Size, from: number): Promise<{ observed: Observed; totals: Counts }> {
  const asked = size === 'short' ? 400 : 20_000
  const totals = await simulate(lab, ['--histories', String(asked), '--from', String(from)])
  const { histories = 0, failures = 0, seconds: _, ...counted } = totals
  assert.equal(failures, 0)
  const injected = Object.fromEntries(
    Object.entries(counted).map(([name, count]) => [`simulated ${inWords(name)}`, count]),
  )
  return { observed: { injected, survived: { 'histories without a broken promise': histories } }, totals }
}

const simCrash: FaultTest = {
  name: 'sim-crash',
  row: '1',
  promise:
    'Simulated kills and power cuts at every point, several a history: nothing acknowledged is lost, no gap, no false corruption.',
  needs: [],
  limitSeconds: { short: 120, long: 1_200 },
  run: async (lab, size) => (await simulated(lab, size, 0)).observed,
}

const simEio: FaultTest = {
  name: 'sim-eio',
  row: '2',
  promise: 'The same with syncs that fail and mark pages clean without writing them.',
  needs: [],
  limitSeconds: { short: 120, long: 1_200 },
  async run(lab, size) {
    const { observed, totals } = await simulated(lab, size, 1_000_000)
    assert.ok((totals.syncsFailed ?? 0) > 0, 'syncs have failed')
    return observed
  },
}

const simMutants: FaultTest = {
  name: 'sim-mutants',
  row: '3',
  promise: 'The design broken on purpose, one rule at a time: the simulator notices each.',
  needs: [],
  limitSeconds: { short: 450, long: 900 },
  async run(lab) {
    const caught = (await runTestFile(lab, 'test/sim/mutants.test.ts')) - 1 // the test around them
    assert.ok(caught > 5, `only ${caught} mutants were made`)
    return { injected: { 'broken rules': caught }, survived: {}, detail: 'Each was noticed.' }
  },
}

const hostileInput: FaultTest = {
  name: 'hostile-input',
  row: '23',
  promise:
    'Whatever is emitted, nothing throws into the application, and what is sealed is a record that can be verified.',
  needs: [],
  limitSeconds: { short: 180, long: 300 },
  async run(lab) {
    const passed = await runTestFile(lab, 'test/event/hostile.test.ts')
    return { injected: { 'kinds of hostile input': passed }, survived: { 'tests passed': passed } }
  },
}

export const testsElsewhere: readonly FaultTest[] = [simCrash, simEio, simMutants, hostileInput]
