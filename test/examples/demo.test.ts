/** The demo as a user runs it, in a copy of the checkout, so that no other `dist` is touched or trusted. */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { faultsOf, summarize } from '../../examples/demo/summary.ts'
import { steps } from '../../examples/demo/visit.ts'
import type { SourceReport } from '../../src/verify/report.ts'

const root = join(import.meta.dirname, '../..')
const demoMsMax = 120_000
let checkout: string

before(async () => {
  checkout = mkdtempSync(join(tmpdir(), 'otel-audit-demo-test-'))
  chmodSync(checkout, 0o755) // PostgreSQL runs as another user when we are root
  for (const path of ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src', 'test', 'examples']) {
    cpSync(join(root, path), join(checkout, path), { recursive: true })
  }
  cpSync(join(root, 'collector-config'), join(checkout, 'collector-config'), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'))
})
after(() => rmSync(checkout, { recursive: true, force: true }))

interface Ended {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

describe('npm run demo', () => {
  it('tells its story, loses nothing, verifies every copy and names the forged record', async () => {
    const dir = join(checkout, 'out')
    const visits = 3
    const argv = ['--no-collector', '--json', '--events', String(visits * steps.length), '--dir', dir]
    const { exitCode, stdout, stderr } = await outcomeOf(['npm', 'run', '--silent', 'demo', '--', ...argv])
    assert.equal(exitCode, 0, stderr)

    const summary = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
    assert.deepEqual(summary, JSON.parse(readFileSync(join(dir, 'summary.json'), 'utf8')))
    const { delivered, ...counts } = summary
    assert.deepEqual(counts, {
      emitted: visits * 20,
      written: visits * 9,
      suppressed: visits * 11,
      verified: { spool: 'INTACT', file: 'INTACT', postgres: 'INTACT' },
      lost: 0,
    })

    const trail = readFileSync(join(dir, 'audit.ndjson'))
    const audits = trail.toString('utf8').match(/"event_type":"audit"/g) ?? []
    assert.deepEqual(delivered, { file: audits.length, postgres: audits.length })
    assert.ok(audits.length >= counts.written, 'a request whose answer was lost may add a record')
    assert.match(trail.toString('utf8'), /"previous_end":"crash"/)
    assert.doesNotMatch(trail.toString('utf8'), /correct-horse/)

    const forged = readFileSync(join(dir, 'forged.ndjson'))
    assert.equal(forged.length, trail.length)
    const changed = [...trail.keys()].filter((index) => trail[index] !== forged[index])
    assert.equal(changed.length, 1)
    const line = trail.subarray(0, changed[0]).toString('latin1').split('\n').length
    assert.match(stderr, new RegExp(`CONTENT_TAMPERED in record ${line}: `))
    assert.match(stderr, /expected +[0-9a-f]{64}\n +found +[0-9a-f]{64}\n/)
    for (const name of ['spool', 'vkey']) assert.ok(readdirSync(dir).includes(name), name)
  })

  it('stops every server when it is interrupted', { skip: process.platform !== 'linux' && 'reads /proc' }, async () => {
    const mark = randomUUID()
    const demo = startDemo([process.execPath, 'examples/demo/main.ts', '--no-collector', '--events', '100000'], mark)
    // The second chapter begins when PostgreSQL runs, and 100,000 requests keep it busy.
    await demo.saying('2. ')
    assert.notDeepEqual(serversOf(mark), [])
    demo.child.kill('SIGINT')
    assert.equal((await demo.ended).exitCode, 130)
    assert.deepEqual(serversOf(mark), [])
  })

  it('says what is wrong with its options, and changes nothing', async () => {
    const used = mkdtempSync(join(checkout, 'used-'))
    writeFileSync(join(used, 'trail'), '')
    const cases: readonly (readonly [argv: readonly string[], complaint: RegExp])[] = [
      [['--event', '5'], /Unknown option '--event'/],
      [['--events', '0'], /--events is "0"; allowed: a whole number from 1 to/],
      [['--events', 'many'], /--events is "many"; allowed/],
      [['--dir', ''], /--dir needs the name of a folder/],
      [['--dir', used], /holds something already; allowed: a new or empty folder/],
      [['--dir', join(used, 'trail')], /cannot be used/],
      [['extra'], /Unexpected argument 'extra'/],
    ]
    for (const [argv, complaint] of cases) {
      const { exitCode, stdout, stderr } = await outcomeOf([process.execPath, 'examples/demo/main.ts', ...argv])
      assert.deepEqual([exitCode, stdout], [2, ''], argv.join(' '))
      assert.match(stderr, complaint)
      assert.doesNotMatch(stderr, / at .*:\d+/, 'a stack trace')
    }
    assert.deepEqual(readdirSync(used), ['trail'])
  })

  it('explains itself', async () => {
    const { exitCode, stdout } = await outcomeOf([process.execPath, 'examples/demo/main.ts', '--help'])
    assert.equal(exitCode, 0)
    for (const option of ['--dir', '--events', '--json', '--no-collector']) assert.ok(stdout.includes(option), option)
  })
})

describe('the summary of the demo', () => {
  const acknowledged = {
    emitted: 3,
    written: new Set(['a', 'b']),
    suppressed: 1,
    brokenOff: 0,
    traces: [],
    interruptedTraces: [],
  }
  const report = { verdict: 'INTACT', exitCode: 0 } as SourceReport
  const copy = (ids: readonly string[], seen: Partial<SourceReport> = {}, leaks = 0) =>
    ({ name: 'file', holdings: { ids: new Set(ids), repeats: 0, leaks }, report: { ...report, ...seen } }) as const
  const whole = { ...copy(['a', 'b']), name: 'spool' } as const

  it('counts a record as lost when one copy lacks it', () => {
    assert.equal(summarize(acknowledged, [whole, copy(['a', 'b', 'c'])]).lost, 0)
    assert.deepEqual(faultsOf(acknowledged, [whole, copy(['a', 'b', 'c'])]), [])
    assert.equal(summarize(acknowledged, [whole, copy(['a', 'c'])]).lost, 1)
    assert.match(faultsOf(acknowledged, [whole, copy(['a', 'c'])]).join(), /^1 acknowledged .* b /)
  })

  it('finds fault with findings and with secrets, not with repeats', () => {
    const ids = ['a', 'b']
    const tampered = copy(ids, { verdict: 'CONTENT_TAMPERED', exitCode: 1 })
    assert.match(faultsOf(acknowledged, [tampered]).join(), /CONTENT_TAMPERED, not INTACT/)
    assert.match(faultsOf(acknowledged, [copy(ids, {}, 2)]).join(), /^2 records .* hold a secret/)
    const repeated = copy(ids, { verdict: 'DUPLICATE_DELIVERY' })
    assert.deepEqual(faultsOf(acknowledged, [repeated]), [])
    assert.deepEqual(summarize(acknowledged, [repeated]).verified, { file: 'INTACT' })
  })
})

interface RunningDemo {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** Resolves when standard output has this text. */
  saying(text: string): Promise<void>
}

function startDemo([command = '', ...argv]: readonly string[], mark = ''): RunningDemo {
  const child = spawn(command, argv, {
    cwd: checkout,
    env: { ...process.env, OTEL_AUDIT_DEMO_TEST: mark },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: demoMsMax,
  })
  const written = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      written[name] += text
    })
  }
  const ended = once(child, 'close').then(([exitCode]): Ended => ({ exitCode, ...written }))
  const saying = async (text: string): Promise<void> => {
    while (!written.stdout.includes(text)) {
      const hasEnded = await Promise.race([once(child.stdout, 'data').then(() => false), ended.then(() => true)])
      if (hasEnded) assert.fail(`it ended without saying ${text}: ${written.stderr}`)
    }
  }
  return { child, ended, saying }
}

function outcomeOf(argv: readonly string[]): Promise<Ended> {
  return startDemo(argv).ended
}

/** Command lines of running servers and services that carry the mark in their environment. */
function serversOf(mark: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const read = (file: string): string => readFileSync(join('/proc', pid, file), 'utf8').replaceAll('\0', ' ')
      try {
        return read('environ').includes(mark) ? [read('cmdline')] : []
      } catch {
        return [] // it has ended, or is somebody else's
      }
    })
    .filter((command) => /bin\/postgres|service\.ts/.test(command))
}
