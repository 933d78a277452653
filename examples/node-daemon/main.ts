/**
 * `npm run example:node-daemon`: tells the life of the daemon in a folder of its own. Exit codes: 0 all is well, 1 the
 * log is not as it should be, 2 wrong options.
 */

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Story } from '../demo/story.ts'
import { faultsOf, tellStory } from './story.ts'

const usage = `Usage: npm run example:node-daemon [-- OPTIONS]

A daemon that logs what it does for SOC 2, ISO 27001 or HIPAA: facts only, in files that rotate and can be proven.

Options:
  --dir DIR      a folder that is not there yet, for everything that is left (default: a temporary one)
  --cycles N     how often the daemon asks its model in each of its two lives, 1 to 100000 (default: 1000)
  -h, --help     show this
`

async function main(argv: string[]): Promise<number> {
  const options = readOptions(argv)
  if (options === undefined) return 0
  if (typeof options === 'string') {
    process.stderr.write(`node-daemon: ${options}\n  hint: npm run example:node-daemon -- --help\n`)
    return 2
  }
  const { dir, cycles } = options
  const story = new Story(process.stdout)
  await using running = new AsyncDisposableStack()
  const summary = await tellStory({ dir, cycles, story, running })
  writeFileSync(join(dir, 'summary.json'), `${JSON.stringify(summary)}\n`)
  const faults = faultsOf(summary)
  story.chapter(faults.length === 0 ? 'Look for yourself' : 'NOT as it should be')
  for (const fault of faults) story.say(fault)
  story.say(`Everything lies in ${dir}`)
  return faults.length === 0 ? 0 : 1
}

/** What was asked for, what is wrong with it, or nothing when it was help. */
function readOptions(args: string[]): { dir: string; cycles: number } | string | undefined {
  try {
    const { values } = parseArgs({
      args,
      options: {
        dir: { type: 'string' },
        cycles: { type: 'string', default: '1000' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return void process.stdout.write(usage)
    const cycles = Number(values.cycles)
    if (!/^\d{1,6}$/.test(values.cycles) || cycles < 1 || cycles > 100_000)
      return `--cycles is ${JSON.stringify(values.cycles)}; allowed: a whole number from 1 to 100000`
    if (values.dir !== undefined) mkdirSync(values.dir)
    return { dir: values.dir === undefined ? mkdtempSync(join(tmpdir(), 'watchd-')) : resolve(values.dir), cycles }
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown)
  }
}

process.exitCode = await main(process.argv.slice(2))
