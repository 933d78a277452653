/**
 * `npm run demo`: reads the options, runs the story, stops every server however it ends, and answers with an exit
 * code: 0 all is well, 1 something was lost, changed or broken, 2 wrong options, 130 interrupted.
 */

import { existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { collectorBinary } from '../../test/parts/collector.ts'
import { type DemoOutcome, runDemo } from './demo.ts'
import { type DemoOptions, readOptions, UsageError, usage } from './options.ts'
import { type Places, placesIn } from './places.ts'
import { Story } from './story.ts'
import { startTracing } from './tracing.ts'

class Interrupted extends Error {}

async function main(argv: readonly string[]): Promise<number> {
  try {
    const options = readOptions(argv)
    if (options !== undefined) return await runToExitCode(options, placesIn(makeFolder(options.dir)))
    process.stdout.write(usage)
    return 0
  } catch (thrown) {
    if (!(thrown instanceof UsageError)) throw thrown
    process.stderr.write(`demo: ${thrown.message}\n  hint: npm run demo -- --help\n`)
    return 2
  }
}

async function runToExitCode(options: DemoOptions, places: Places): Promise<number> {
  const story = new Story(options.json ? process.stderr : process.stdout)
  const servers = new AsyncDisposableStack()
  try {
    startTracing()
    const outcome = await Promise.race([
      runDemo({ options, places, story, servers }),
      interruption(),
      deadline(options),
    ])
    await servers.disposeAsync()
    tellEnd(story, places, outcome)
    if (options.json) console.log(JSON.stringify(outcome.summary))
    return outcome.faults.length === 0 ? 0 : 1
  } catch (thrown) {
    story.say(`The demo ended early: ${thrown instanceof Error ? thrown.message : thrown}`)
    story.say(`What there is lies in ${places.dir}`)
    await servers.disposeAsync()
    return thrown instanceof Interrupted ? 130 : 1
  }
}

/** Rejects when somebody wants the demo to end, or no longer reads its story. */
function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => reject(new Interrupted(`stopped by ${signal}`)))
    for (const stream of [process.stdout, process.stderr])
      stream.on('error', () => reject(new Interrupted('its output is closed')))
  })
}

function deadline({ events, collector }: DemoOptions): Promise<never> {
  const building = collector && collectorBinary() === undefined
  const minutes = (building ? 15 : 3) + Math.ceil(events / 20_000)
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`it took longer than ${minutes} minutes`)), minutes * 60_000)
  })
}

const left = [
  ['spool/', 'the first copy: `otel-audit spool status`, `spool export`'],
  ['audit.ndjson', 'what the file destination wrote'],
  ['collector.jsonl', 'what the collector received'],
  ['postgres/', 'the files of the database'],
  ['vkey', 'the verifier key'],
  ['forged.ndjson', 'the copy with one changed byte'],
  ['summary.json', 'the numbers of this story'],
] as const

function tellEnd(story: Story, { dir }: Places, { faults }: DemoOutcome): void {
  story.chapter(faults.length === 0 ? 'Look for yourself' : 'NOT as it should be')
  for (const fault of faults) story.say(fault)
  story.say(`Everything lies in ${dir}:`)
  story.table(left.filter(([name]) => existsSync(join(dir, name))).map(([name, what]) => [`  ${name}`, what]))
  const program = relative(process.cwd(), join(import.meta.dirname, '../../dist/cli/main.js'))
  story.say(`node ${program} verify ${dir}/audit.ndjson --vkey ${dir}/vkey`)
}

/** The folder of the demo, made if need be. A folder with something in it may hold a trail, which is not ours to mix. */
function makeFolder(dir: string | undefined): string {
  if (dir === undefined) return mkdtempSync(join(tmpdir(), 'otel-audit-demo-'))
  const folder = resolve(dir)
  try {
    if (!existsSync(folder)) mkdirSync(folder, { recursive: true })
    if (readdirSync(folder).length === 0) return folder
  } catch (cause) {
    throw new UsageError(`--dir ${dir} cannot be used: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
  throw new UsageError(`--dir ${dir} holds something already; allowed: a new or empty folder`)
}

process.exit(await main(process.argv.slice(2)))
