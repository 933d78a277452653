/**
 * `otel-audit quarantine retry` and `discard`: what shall become of refused records. The command only asks: the process
 * that delivers sends or gives up, and seals it. It waits for that for a while; where no process runs, the next one does.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { formatTimestamp, monotonicMs, nowMs } from '../clock.ts'
import { AuditError } from '../errors.ts'
import type { ResolutionRequest } from '../forward/resolution-request.ts'
import { checkOperatorTexts } from '../spool/refusals.ts'
import { type Command, type CommandIo, parseOptions, requireOption } from './command.ts'
import { requireRuns } from './quarantine-look.ts'
import { type FoundRun, withRuns } from './quarantine-runs.ts'
import { readWait, userName } from './spool-arguments.ts'

/** What `quarantine retry|discard --json` prints. */
export interface QuarantineResolution {
  /** `delivered` and `discarded`: done and sealed. `asked`: the next delivering process does it. `refused`: see `reason`. */
  readonly runs: readonly {
    readonly id: string
    readonly outcome: 'delivered' | 'discarded' | 'asked' | 'refused'
    readonly reason?: string
  }[]
}

type Outcome = QuarantineResolution['runs'][number]

const pollMs = 100
const waitSecondsDefault = 10

const options = {
  postgres: { type: 'string' },
  why: { type: 'string' },
  operator: { type: 'string' },
  wait: { type: 'string', default: String(waitSecondsDefault) },
  json: { type: 'boolean', default: false },
} as const

const optionLines = `  --postgres URL   the database, in the place of DIR
  --operator NAME  who asks (default: the user's name)
  --wait SECONDS   how long to wait until it is done (default ${waitSecondsDefault}; 0: only ask)
  --json           print one JSON object (type QuarantineResolution)
  -h, --help       show this`

export const retry: Command = {
  name: 'quarantine retry',
  summary: 'have quarantined records sent once more',
  help: `Usage: otel-audit quarantine retry DIR ID… [--why TEXT] [--operator NAME] [--wait SECONDS] [--json]
       otel-audit quarantine retry --postgres URL ID… [--why TEXT] [--operator NAME] [--wait SECONDS] [--json]

Has the records of these runs sent once more, for example after the destination's schema or limit was mended. The process
that delivers (the application, or otel-audit forward) does it, seals audit.quarantine.resolved and takes them out of
the quarantine. Refused again, they stay, with the new reason. Forked records cannot be sent: the destination holds others.

Options:
  --why TEXT       why; sealed into the trail, at most 512 bytes
${optionLines}

Exit codes: 0 done, or asked for · 1 refused again · 2 could not ask

Examples:
  otel-audit quarantine retry ./audit-spool 5f3a9c21b0de --why 'index template mended'
  otel-audit quarantine retry --postgres postgres://audit_relay@db.example/app 5f3a9c21b0de
`,
  run: (argv, io) => resolve('retry', argv, io),
}

export const discard: Command = {
  name: 'quarantine discard',
  summary: 'give quarantined records up for their destination',
  help: `Usage: otel-audit quarantine discard DIR ID… --why TEXT [--operator NAME] [--wait SECONDS] [--json]
       otel-audit quarantine discard --postgres URL ID… --why TEXT [--operator NAME] [--wait SECONDS] [--json]

Gives the records of these runs up for their destination: the process that delivers seals who did it and why
(audit.quarantine.resolved, with their hashes) and removes them from the quarantine. Other destinations and the spool are
not touched; where the spool has given their segment back already, this may be the last copy here.

Options:
  --why TEXT       why they are given up; sealed into the trail, at most 512 bytes
${optionLines}

Exit codes: 0 done, or asked for · 2 could not ask

Examples:
  otel-audit quarantine discard ./audit-spool 5f3a9c21b0de --why 'test data, ticket 812'
  otel-audit quarantine discard --postgres postgres://audit_relay@db.example/app 5f3a9c21b0de --why 'test data'
`,
  run: (argv, io) => resolve('discard', argv, io),
}

async function resolve(
  resolution: ResolutionRequest['resolution'],
  argv: readonly string[],
  io: CommandIo,
): Promise<number> {
  const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
  const { postgres, operator = userName(), wait } = values
  const runs = await withRuns({ positionals, postgres }, async (there, ids) => {
    const found = requireRuns(there, ids)
    const why = resolution === 'discard' ? requireOption(values.why, '--why') : values.why
    checkOperatorTexts({ why: why ?? 'none', operator })
    if (resolution === 'retry') found.forEach(refuseForked)
    const waitMs = readWait(wait)
    const request = { resolution, operator, why, asked: formatTimestamp(nowMs()) }
    for (const one of found) await one.ask(request) // in order: what fails leaves the rest as it was
    const untilMs = monotonicMs() + waitMs
    return Promise.all(found.map((one) => awaitOutcome(one, resolution, untilMs)))
  })
  if (values.json) io.stdout.write(`${JSON.stringify({ runs } satisfies QuarantineResolution)}\n`)
  else io.stdout.write(runs.map(describeOutcome).join(''))
  return runs.some(({ outcome }) => outcome === 'refused') ? 1 : 0
}

/** Whatever becomes of it within the time. */
async function awaitOutcome(
  { run, look }: FoundRun,
  resolution: ResolutionRequest['resolution'],
  untilMs: number,
): Promise<Outcome> {
  for (;;) {
    const found = await look() // again and again: delivery is another process
    if (typeof found === 'object') return { id: run.id, outcome: 'refused', reason: found.refused }
    if (found === 'gone') return { id: run.id, outcome: resolution === 'retry' ? 'delivered' : 'discarded' }
    if (monotonicMs() >= untilMs) return { id: run.id, outcome: 'asked' }
    await sleep(pollMs) // until delivery has looked, which it does each second
  }
}

function describeOutcome({ id, outcome, reason }: Outcome): string {
  if (outcome === 'asked') return `${id}  asked for: the process that delivers does it, now or when it next runs\n`
  return `${id}  ${outcome}${reason === undefined ? '' : ` again: ${reason}`}\n`
}

function refuseForked({ run }: FoundRun): void {
  if (run.kind !== 'forked') return
  throw new AuditError('INVALID_OPTION', `${run.id} is forked: ${run.destination} holds other records in its place`, {
    setting: 'ID',
    hint: 'It would be refused for ever. docs/operations.md says what a fork means; quarantine discard gives it up there.',
  })
}
