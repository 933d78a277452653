/** `otel-audit hold`: keeps records from being removed, however old they are, and says so in the trail. */

import { AuditError } from '../errors.ts'
import type { ControlType } from '../event/record.ts'
import { withConnection } from '../postgres/client.ts'
import { addHold, type HoldCriteria, type LegalHold, listHolds, releaseHold, undoHold } from '../postgres/hold.ts'
import { type Command, type CommandGroup, type CommandIo, parseOptions, requireOption } from './command.ts'
import { operationsHelp, operationsOptions, readOperationsConfig, sealOnce } from './operations-trail.ts'
import { printable } from './printable.ts'
import { reachable } from './retain.ts'
import { refuseFurther, userName } from './spool-arguments.ts'

/** What `hold add`, `hold release` (one) and `hold list` print with --json. */
export interface HoldReport {
  readonly holds: readonly LegalHold[]
}

const criteriaOptions = {
  stream: { type: 'string' },
  tenant: { type: 'string' },
  actor: { type: 'string' },
  'target-type': { type: 'string' },
  target: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
} as const

const add: Command = {
  name: 'hold add',
  summary: 'keep records that match',
  help: `Usage: otel-audit hold add [CRITERIA] --why TEXT --url URL [OPTIONS]

Keeps every record that matches all criteria from being removed, now and later, until the hold is released. With a record
stays what proves it: everything from the checkpoint before it to the one after it. Sealed as audit.hold.added.

Criteria, at least one:
  --stream UUID      of this stream
  --tenant NAME      of this tenant
  --actor ID         by this actor
  --target ID        about this target
  --target-type TYPE about targets of this type
  --from TIME        happened or sealed at or after this time (RFC 3339)
  --to TIME          before this time

Options:
  --why TEXT         the reason; sealed into the trail
${operationsHelp}

Examples:
  otel-audit hold add --actor u-1 --from 2026-01-01T00:00:00Z --why 'case 4711' --url postgres://owner@localhost/app
  otel-audit hold add --tenant acme --why 'litigation' --json
`,
  async run(argv, io) {
    const options = { ...operationsOptions, ...criteriaOptions, why: { type: 'string' } } as const
    const { values } = parseOptions({ args: [...argv], options })
    const criteria = readCriteria({ ...values, targetType: values['target-type'] })
    const act = { reason: requireOption(values.why, '--why'), operator: values.operator ?? userName() }
    return changeHold({ ...values, io, type: 'audit.hold.added' }, (client) => addHold(client, criteria, act))
  },
}

const release: Command = {
  name: 'hold release',
  summary: 'let what a hold kept be removed again',
  help: `Usage: otel-audit hold release NUMBER --why TEXT --url URL [OPTIONS]

Releases a hold: the next run of retention removes what is past its time. Sealed as audit.hold.released.

Options:
  --why TEXT         the reason; sealed into the trail
${operationsHelp}

Examples:
  otel-audit hold release 3 --why 'case 4711 closed' --url postgres://owner@localhost/app
`,
  async run(argv, io) {
    const options = { ...operationsOptions, why: { type: 'string' } } as const
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    refuseFurther(positionals.slice(1))
    const given = requireOption(positionals[0], 'NUMBER')
    const act = { reason: requireOption(values.why, '--why'), operator: values.operator ?? userName() }
    return changeHold({ ...values, io, type: 'audit.hold.released' }, async (client) => {
      const hold = /^\d{1,15}$/.test(given) ? await releaseHold(client, Number(given), act) : undefined
      if (hold !== undefined) return hold
      throw new AuditError('INVALID_OPTION', `no hold ${given} is in force`, {
        setting: 'NUMBER',
        hint: 'otel-audit hold list shows those that are.',
      })
    })
  },
}

const list: Command = {
  name: 'hold list',
  summary: 'show the holds in force',
  help: `Usage: otel-audit hold list --url URL [--all] [--json]

Shows the holds that are in force.

Options:
  --url URL   postgres://user:password@host:5432/database (default: AUDIT_POSTGRES_URL)
  --all       those that were released too
  --json      print one JSON object (type HoldReport)
  -h, --help  show this

Examples:
  otel-audit hold list --url postgres://owner@localhost/app --all
`,
  async run(argv, io) {
    const options = {
      url: operationsOptions.url,
      json: operationsOptions.json,
      all: { type: 'boolean', default: false },
    } as const
    const { values } = parseOptions({ args: [...argv], options })
    const url = requireOption(values.url ?? io.env.AUDIT_POSTGRES_URL, '--url')
    const holds = await reachable(() => withConnection({ url }, (client) => listHolds(client, values.all)))
    print({ holds }, values.json, io)
    return 0
  },
}

export const command: CommandGroup = {
  name: 'hold',
  summary: 'keep records from being removed: add, list, release',
  commands: [add, list, release],
}

interface Change {
  readonly url?: string | undefined
  readonly config?: string | undefined
  readonly operations: string
  readonly json: boolean
  readonly io: CommandIo
  readonly type: ControlType
}

/** In force first, sealed after: a hold that could not be sealed is taken back, a release too. */
async function changeHold(
  { url: given, config: file, operations, json, io, type }: Change,
  change: (client: Parameters<typeof addHold>[0]) => Promise<LegalHold>,
): Promise<number> {
  const url = requireOption(given ?? io.env.AUDIT_POSTGRES_URL, '--url')
  const config = readOperationsConfig(operations, file, io.env)
  const hold = await reachable(() => withConnection({ url }, change))
  try {
    if (!(await sealOnce(config, url, { type, details: { ...hold } }))) throw notSealed(operations)
  } catch (thrown) {
    await withConnection({ url }, (client) => undoHold(client, hold))
    throw thrown
  }
  print({ holds: [hold] }, json, io)
  return 0
}

function notSealed(directory: string): AuditError {
  return new AuditError('SPOOL_FAILED', `it could not be sealed in ${directory}: nothing was changed`, {
    setting: '--operations',
    hint: 'Let this user write the directory, and the database be reached; then run the command again.',
  })
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function readCriteria(given: HoldCriteria): HoldCriteria {
  const { stream, tenant, actor, targetType, target, from, to } = given
  const criteria = {
    stream,
    tenant,
    actor,
    targetType,
    target,
    from: readTime(from, '--from'),
    to: readTime(to, '--to'),
  }
  if (stream !== undefined && !uuid.test(stream)) throw refuse('--stream', `${stream} is not the UUID of a stream`)
  if (Object.values(criteria).some((value) => value !== undefined && value !== '')) return criteria
  throw refuse('--tenant', 'no criterion was given: that would keep every record')
}

function readTime(text: string | undefined, setting: string): string | undefined {
  if (text === undefined) return undefined
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw refuse(setting, `${setting} is ${text}; allowed: a time as 2026-01-31T00:00:00Z`)
  return new Date(ms).toISOString()
}

function refuse(setting: string, message: string): AuditError {
  return new AuditError('INVALID_OPTION', message, {
    setting,
    hint: 'run the command with --help for its options and examples',
  })
}

function print(report: HoldReport, json: boolean, { stdout }: CommandIo): void {
  const lines = report.holds.map(describe)
  stdout.write(json ? `${JSON.stringify(report)}\n` : lines.length > 0 ? lines.join('') : 'no hold is in force\n')
}

function describe(hold: LegalHold): string {
  const { id, stream, tenant, actor, targetType, target, from, to, reason, placedBy, placedAt, releasedAt } = hold
  const criteria = Object.entries({ stream, tenant, actor, targetType, target, from, to })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${value}`)
  const state = releasedAt === undefined ? 'in force' : `released ${releasedAt}`
  return `${id}  ${state}  ${printable(criteria.join(', '))}  placed ${placedAt} by ${printable(placedBy)}: ${printable(reason)}\n`
}
