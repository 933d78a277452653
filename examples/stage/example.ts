/**
 * How an example is run: its options are read, its story is told in a folder of its own, what it came to stays there as
 * `summary.json`, and what is not as it should be is said. Exit codes: 0 all is well, 1 it is not, 2 wrong options.
 */

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Story } from '../demo/story.ts'

/** What a story is told with. */
export interface Stage {
  readonly dir: string
  /** How large the example is, in what its `size` counts. */
  readonly size: number
  readonly story: Story
  /** Whatever is put here ends with the story, however that ends. */
  readonly running: AsyncDisposableStack
}

export interface Example<Summary> {
  /** As in `npm run example:NAME`. */
  readonly name: string
  /** One sentence for its help. */
  readonly about: string
  readonly size: {
    /** Without dashes. */
    readonly option: string
    readonly about: string
    readonly byDefault: number
    readonly least: number
    readonly most: number
  }
  readonly tell: (stage: Stage) => Promise<Summary>
  /** What is not as it should be. */
  readonly faultsOf: (summary: Summary) => string[]
}

/** Runs an example with the arguments of its command line, and returns the exit code. */
export async function runExample<Summary>(example: Example<Summary>, args: string[]): Promise<number> {
  const options = readOptions(example, args)
  if (options === undefined) return 0
  if (typeof options === 'string') {
    process.stderr.write(`${example.name}: ${options}\n  hint: npm run example:${example.name} -- --help\n`)
    return 2
  }
  const { dir, size } = options
  const story = new Story(process.stdout)
  await using running = new AsyncDisposableStack()
  const summary = await example.tell({ dir, size, story, running })
  writeFileSync(join(dir, 'summary.json'), `${JSON.stringify(summary)}\n`)
  const faults = example.faultsOf(summary)
  story.chapter(faults.length === 0 ? 'Look for yourself' : 'NOT as it should be')
  for (const fault of faults) story.say(fault)
  story.say(`Everything lies in ${dir}`)
  return faults.length === 0 ? 0 : 1
}

/** What was asked for, what is wrong with it, or nothing when it was help. */
function readOptions<Summary>(example: Example<Summary>, args: string[]) {
  const { option, byDefault, least, most } = example.size
  try {
    const { values } = parseArgs({
      args,
      options: {
        dir: { type: 'string' },
        [option]: { type: 'string', default: String(byDefault) },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const { help, dir, [option]: given = '' } = values
    if (help === true) return void process.stdout.write(usageOf(example))
    const size = Number(given)
    if (!/^\d+$/.test(String(given)) || size < least || size > most)
      return `--${option} is ${JSON.stringify(given)}; allowed: a whole number from ${least} to ${most}`
    return { dir: makeFolder(example.name, dir), size }
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown)
  }
}

function makeFolder(name: string, dir: unknown): string {
  if (typeof dir !== 'string') return mkdtempSync(join(tmpdir(), `${name}-`))
  mkdirSync(dir)
  return resolve(dir)
}

function usageOf<Summary>({ name, about, size }: Example<Summary>): string {
  const { option, least, most, byDefault } = size
  return `Usage: npm run example:${name} [-- OPTIONS]

${about}

Options:
  --dir DIR      a folder that is not there yet, for everything that is left (default: a temporary one)
  ${`--${option} N`.padEnd(14)} ${size.about}, ${least} to ${most} (default: ${byDefault})
  -h, --help     show this
`
}
