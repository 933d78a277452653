/**
 * `otel-audit erase`: removes the personal values of somebody from a database, seals that it was done, and looks whether a
 * spool still holds one. Neither the person nor a pseudonym is printed or sealed: the trail names digests.
 */

import { hasArrived } from '../audit/retention.ts'
import { AuditError } from '../errors.ts'
import { createPseudonyms, pseudonymPattern } from '../policy/redaction/pseudonym.ts'
import { withConnection } from '../postgres/client.ts'
import {
  type ErasurePlan,
  eraseBatch,
  markErased,
  planErasure,
  readUnsealed,
  refuseSubjects,
} from '../postgres/erase.ts'
import { type Command, type CommandIo, parseOptions, requireOption } from './command.ts'
import { type SearchedSpool, searchSpool } from './erase-spool.ts'
import {
  type OperationsTrail,
  openOperations,
  operationsHelp,
  operationsOptions,
  readOperationsConfig,
} from './operations-trail.ts'
import { startProgress } from './progress.ts'
import { reachable } from './retain.ts'
import { formatCount, userName } from './spool-arguments.ts'

/** What `erase --json` prints. */
export interface EraseReport extends ErasurePlan {
  /**
   * `planned`: with --dry-run · `held`: a legal hold keeps a record, and nothing was erased · `erased`: and sealed ·
   * `unsealed`: erased, but not sealed: run it again.
   */
  readonly outcome: 'planned' | 'held' | 'erased' | 'unsealed'
  /** Disclosures erased by this run. */
  readonly erased: number
  /** Digests that records `audit.erased` of this run name; also what an earlier run has left. */
  readonly sealed: number
  /** Nothing that could bring a value back was found; `null` without --spool. */
  readonly isClear: boolean | null
  readonly spools: readonly SearchedSpool[]
  /** Of the operations stream that sealed it. */
  readonly verifierKey?: string
}

const options = {
  ...operationsOptions,
  postgres: { type: 'string' },
  subject: { type: 'string', multiple: true, default: [] as string[] },
  why: { type: 'string' },
  spool: { type: 'string', multiple: true, default: [] as string[] },
  'dry-run': { type: 'boolean', default: false },
} as const

export const command: Command = {
  name: 'erase',
  summary: 'erase the personal values of somebody, and say so in the trail',
  help: `Usage: otel-audit erase --subject ID... --why TEXT --url URL [--spool DIR]... [--dry-run] [OPTIONS]

Erases what redact.personal took out of the events about somebody: the values are deleted from the database, where alone they
are kept, and audit.erased is sealed. Records stay as they were sealed, and the trail verifies: otel-audit verify says
ERASED. What was emitted before and is delivered later is not stored any more. When a legal hold keeps one of the records
nothing is erased. Killed at any point, the next run goes on. What stays in WAL, backups and replicas: docs/erasure.md.

The subject is what the event says there, such as an actor's id; or its pseudonym. Its pseudonym is made with
redact.pseudonymKey, from --config or the environment.

Options:
  --subject ID       whose values; may be repeated
  --why TEXT         the reason; sealed into the trail, so it must not name the person
  --spool DIR        look whether this spool still holds a value that was not delivered; may be repeated
  --dry-run          print what would go, and change nothing
  --postgres URL     the same as --url
${operationsHelp}

Exit codes: 0 done; 1 something stays: a legal hold, values in a spool or the outbox, or not sealed; 2 could not.

Examples:
  otel-audit erase --subject u-42 --why 'request 4711' --url postgres://owner@localhost/app --dry-run
  otel-audit erase --subject u-42 --why 'request 4711' --url postgres://owner@localhost/app --config ./audit.json
  otel-audit erase --subject u-42 --why 'request 4711' --spool ./audit-spool --json
`,
  run: erase,
}

async function erase(argv: readonly string[], io: CommandIo): Promise<number> {
  const { values } = parseOptions({ args: [...argv], options })
  const url = requireOption(values.url ?? values.postgres ?? io.env.AUDIT_POSTGRES_URL, '--url')
  const why = values['dry-run'] ? '' : requireOption(values.why, '--why')
  refuseNamed(why, values.subject)
  const config = readOperationsConfig(values.operations, values.config, io.env)
  const subjects = readSubjects(values.subject, config.redact.pseudonymKey)
  const plan = await reachable(() => withConnection({ url }, (client) => planErasure(client, subjects)))
  const look = () => values.spool.map((directory) => searchSpool(directory, subjects))
  const before = look() // throws for a directory that cannot be read, before anything is changed
  const outcome = plan.holds.length > 0 ? 'held' : 'planned'
  const nothing = { erased: 0, sealed: 0 }
  if (values['dry-run'] || plan.holds.length > 0)
    return print({ ...plan, outcome, ...nothing, ...clearness(plan, before) }, values.json, io)
  const operations = openOperations(config, url)
  const progress = startProgress(io)
  try {
    const details = { why, operator: values.operator ?? userName() }
    const onErased = (count: number) => progress.show(`${formatCount(count, 'value')} erased`)
    const done = await reachable(() => eraseAll(url, { subjects, operations, details, onErased }))
    progress.clear()
    const left = await reachable(() => withConnection({ url }, (client) => planErasure(client, subjects)))
    const found = { ...plan, outbox: left.outbox, holds: left.holds, ...clearness(left, look()) }
    const reached = left.holds.length > 0 ? 'held' : done.isSealed ? 'erased' : 'unsealed'
    const { erased, sealed } = done
    return print({ ...found, outcome: reached, erased, sealed, verifierKey: operations.verifierKey }, values.json, io)
  } finally {
    await operations.close()
  }
}

interface Erasing {
  readonly subjects: readonly string[]
  readonly operations: OperationsTrail
  readonly details: { readonly why: string; readonly operator: string }
  readonly onErased: (count: number) => void
}

/** The steps of `postgres/erase.ts`, in their order. */
function eraseAll(
  url: string,
  { subjects, operations, details, onErased }: Erasing,
): Promise<{ erased: number; sealed: number; isSealed: boolean }> {
  return withConnection({ url, queryMsMax: 600_000 }, async (client) => {
    await refuseSubjects(client, subjects)
    let [erased, sealed] = [0, 0]
    for (let count = -1; count !== 0; erased += count) {
      count = await eraseBatch(client, subjects)
      onErased(erased + count)
    }
    for (;;) {
      const digests = await readUnsealed(client)
      if (digests.length === 0) return { erased, sealed, isSealed: true }
      const fact = { subject_digests: digests, count: digests.length, ...details }
      const place = await operations.seal({ type: 'audit.erased', details: fact })
      const isSealed = await hasArrived(client, place, new AbortController().signal)
      if (!isSealed) return { erased, sealed, isSealed }
      await markErased(client, digests)
      sealed += digests.length
    }
  })
}

const pseudonymForm = new RegExp(`^${pseudonymPattern}$`)

/** The pseudonyms under which disclosures of these are kept. */
function readSubjects(given: readonly string[], key: string | undefined): readonly string[] {
  if (given.length === 0 || given.includes('')) requireOption(undefined, '--subject')
  if (given.every((subject) => pseudonymForm.test(subject))) return given
  if (key === undefined) {
    throw new AuditError(
      'INVALID_OPTION',
      'redact.pseudonymKey is missing: what is kept of a subject cannot be found',
      {
        setting: 'redact.pseudonymKey',
        hint: 'Set AUDIT_REDACT_PSEUDONYM_KEY_FILE, or give --config the file of the application, or give its pseudonym.',
      },
    )
  }
  const pseudonyms = createPseudonyms(key)
  return given.map((subject) => (pseudonyms.isOwn(subject) ? subject : pseudonyms.pseudonymOf(subject)))
}

/** What is sealed stays for ever. */
function refuseNamed(why: string, subjects: readonly string[]): void {
  if (!subjects.some((subject) => subject !== '' && why.includes(subject))) return
  throw new AuditError('INVALID_OPTION', '--why names the subject, and would be sealed into the trail', {
    setting: '--why',
    hint: 'Name the request by its number instead.',
  })
}

function clearness({ outbox }: ErasurePlan, spools: readonly SearchedSpool[]): Pick<EraseReport, 'isClear' | 'spools'> {
  const isClear = spools.length === 0 ? null : outbox === 0 && spools.every((one) => one.isClear)
  return { isClear, spools }
}

function print(report: EraseReport, json: boolean, { stdout }: CommandIo): number {
  stdout.write(json ? `${JSON.stringify(report)}\n` : describe(report))
  if (report.outcome === 'planned') return 0
  return report.outcome === 'erased' && report.isClear !== false && report.outbox === 0 ? 0 : 1
}

function describe({ outcome, erased, disclosures, records, sealed, holds, outbox, spools, verifierKey }: EraseReport) {
  const place = `in ${formatCount(records, 'record')}`
  const held = `${formatCount(disclosures, 'value')} ${place} stay: legal hold ${holds.join(', ')} keeps some of them`
  const first = {
    planned: `${formatCount(disclosures, 'value')} ${place} would be erased`,
    held,
    erased: `${formatCount(erased, 'value')} erased, ${formatCount(sealed, 'digest')} sealed`,
    unsealed: `${formatCount(erased, 'value')} erased, but that is not sealed: run the command again`,
  }[outcome]
  const lines = [
    first,
    ...(outbox === 0
      ? []
      : [`${formatCount(outbox, 'event')} in the outbox: what they hold goes when they are sealed`]),
    ...spools.flatMap(describeSpool),
    ...(spools.length === 0 ? ['no spool was looked at: --spool DIR says whether one still holds a value'] : []),
    ...(verifierKey === undefined ? [] : [`sealed in the operations stream of ${verifierKey}`]),
  ]
  return `${lines.join('\n')}\n`
}

function describeSpool({ directory, isClear, files }: SearchedSpool): string[] {
  if (isClear) return [`${directory}: the last segment that could hold a value is gone`]
  return [
    `${directory} still holds values, which no database will take: they go with their segments`,
    ...files.map(({ file, disclosures }) => `  ${file}: beside ${formatCount(disclosures, 'record')}`),
  ]
}
