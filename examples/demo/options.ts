/** The command line of the demo: what may be asked for, and what is said when it is asked wrongly. */

import { parseArgs } from 'node:util'

export interface DemoOptions {
  /** Where everything is left; a fresh temporary folder when absent. */
  readonly dir: string | undefined
  /** How many requests are sent, each of which emits one event. */
  readonly events: number
  /** Whether the summary is the last line of standard output; the story then goes to standard error. */
  readonly json: boolean
  readonly collector: boolean
}

/** Something is wrong with the command line; the message says what is allowed. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const eventsMax = 100_000

export const usage = `Usage: npm run demo [-- OPTIONS]

Starts a real PostgreSQL and a real OpenTelemetry Collector, sends requests to a small service that audits them, kills
it in the middle, verifies every copy of its trail, and shows how one forged byte is found.

Options:
  --dir DIR        a new or empty folder for everything that the demo leaves (default: a temporary one)
  --events N       how many requests are sent, 1 to ${eventsMax} (default: 1000)
  --json           print the summary as the last line of standard output, the story on standard error
  --no-collector   go without the OpenTelemetry Collector, whose first build takes two minutes
  -h, --help       show this

Exit codes: 0 nothing lost and every copy verified, 1 otherwise, 2 wrong options.
`

/** Reads the arguments; `undefined` when help was asked for. Throws `UsageError`. */
export function readOptions(argv: readonly string[]): DemoOptions | undefined {
  const values = parse(argv)
  if (values.help) return undefined
  if (values.dir === '') throw new UsageError('--dir needs the name of a folder')
  return { dir: values.dir, events: readCount(values.events), json: values.json, collector: !values['no-collector'] }
}

function parse(argv: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        dir: { type: 'string' },
        events: { type: 'string', default: '1000' },
        json: { type: 'boolean', default: false },
        'no-collector': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    return values
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function readCount(text: string): number {
  const count = Number(text)
  if (/^\d+$/.test(text) && count >= 1 && count <= eventsMax) return count
  throw new UsageError(`--events is ${JSON.stringify(text)}; allowed: a whole number from 1 to ${eventsMax}`)
}
