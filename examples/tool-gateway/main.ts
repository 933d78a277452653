/**
 * `npm run example:tool-gateway`: puts the gateway under load with each ready configuration. Exit codes: 0 all is well,
 * 1 something is not as it should be, 2 wrong options.
 */

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Story } from '../demo/story.ts'
import { faultsOf, tellStory } from './story.ts'

const usage = `Usage: npm run example:tool-gateway [-- OPTIONS]

A gateway under load with a real PostgreSQL: what is recorded, what is not and counted, and what the database notices.

Options:
  --dir DIR      a folder that is not there yet, for everything that is left (default: a temporary one)
  --users N      how many users call at once, ten calls each, 20 to 20000 (default: 2000)
  -h, --help     show this
`

async function main(argv: string[]): Promise<number> {
  const options = readOptions(argv)
  if (options === undefined) return 0
  if (typeof options === 'string') {
    process.stderr.write(`tool-gateway: ${options}\n  hint: npm run example:tool-gateway -- --help\n`)
    return 2
  }
  const { dir, users } = options
  const story = new Story(process.stdout)
  await using running = new AsyncDisposableStack()
  const summary = await tellStory({ dir, users, story, running })
  writeFileSync(join(dir, 'summary.json'), `${JSON.stringify(summary)}\n`)
  const faults = faultsOf(summary)
  story.chapter(faults.length === 0 ? 'Look for yourself' : 'NOT as it should be')
  for (const fault of faults) story.say(fault)
  story.say(`Everything lies in ${dir}`)
  return faults.length === 0 ? 0 : 1
}

/** What was asked for, what is wrong with it, or nothing when it was help. */
function readOptions(args: string[]): { dir: string; users: number } | string | undefined {
  try {
    const { values } = parseArgs({
      args,
      options: {
        dir: { type: 'string' },
        users: { type: 'string', default: '2000' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return void process.stdout.write(usage)
    const users = Number(values.users)
    if (!/^\d{1,5}$/.test(values.users) || users < 20 || users > 20_000)
      return `--users is ${JSON.stringify(values.users)}; allowed: a whole number from 20 to 20000`
    if (values.dir !== undefined) mkdirSync(values.dir)
    return { dir: values.dir === undefined ? mkdtempSync(join(tmpdir(), 'tool-gateway-')) : resolve(values.dir), users }
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown)
  }
}

process.exitCode = await main(process.argv.slice(2))
