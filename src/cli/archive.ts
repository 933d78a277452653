/**
 * `otel-audit archive`: copies a trail into tiles that any checker of transparency logs can verify, and verifies what it
 * wrote by reading it back. Goes on where the archive ends.
 */

import { archiveRecords } from '../archive/archive.ts'
import { openArchive } from '../archive/location.ts'
import type { ArchiveStore } from '../archive/store.ts'
import type { StreamOutcome } from '../archive/stream-archive.ts'
import { AuditError, errorCode, errorText } from '../errors.ts'
import { parseRecord, type StoredRecord } from '../event/record.ts'
import type { Report } from '../verify/report.ts'
import { combineReports } from '../verify/report.ts'
import type { Source } from '../verify/source.ts'
import { createArchiveSource } from '../verify/sources/archive.ts'
import { expandSource, openSource } from '../verify/sources.ts'
import { verifySource } from '../verify/verify.ts'
import { type Command, type CommandIo, parseOptions, requireOption } from './command.ts'
import { printable } from './printable.ts'
import { startProgress } from './progress.ts'
import { formatCount } from './spool-arguments.ts'
import { readVerifiers } from './verifier-keys.ts'

/** What `archive --json` prints. */
export interface ArchiveReport {
  readonly archive: string
  /** Records that the sources held. */
  readonly read: number
  /** What could not be archived because it is no record. */
  readonly damaged: readonly { readonly source: string; readonly where: string; readonly reason: string }[]
  readonly streams: readonly StreamOutcome[]
  /** Of the archive, read back; absent when nothing was archived. */
  readonly verified?: Report
  readonly exitCode: 0 | 1 | 2
}

/** Most places of damage that are named. */
const damagedMax = 100

const options = {
  out: { type: 'string' },
  vkey: { type: 'string', multiple: true, default: [] as string[] },
  json: { type: 'boolean', default: false },
} as const

export const command: Command = {
  name: 'archive',
  summary: 'copy a trail into an archive of tiles, and verify what was written',
  help: `Usage: otel-audit archive SOURCE... --out DIR|s3://BUCKET/PREFIX [--vkey KEY]... [--json]

Copies what a SOURCE of verify holds into DIR, each stream as a transparency log of its own (c2sp.org/tlog-tiles):
DIR/STREAM/checkpoint, DIR/STREAM/tile/... Records after the last checkpoint stand in DIR/STREAM/tail.ndjson. Any checker
of such logs verifies it, and so does otel-audit verify DIR. otel-audit query searches it. Goes on where DIR ends: run it as often as you like. Killed
at any point it leaves the archive as it was, and the next run goes on. What does not fold to its signed checkpoints, or
contradicts what DIR holds, is not taken. Everything is read back and verified at the end.

Options:
  --out DIR   the folder of the archive; made when it is not there. Or s3://BUCKET/PREFIX in a bucket that is there, with
              the package @aws-sdk/client-s3; credentials, region and endpoint as the AWS SDK finds them (AWS_REGION,
              AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, ...), or s3://...?region=REGION&endpoint=URL
  --vkey KEY  a verifier key, or a file with one a line; may be repeated. Only checkpoints of these keys count then.
              Without it the archive is only shown to fit together
  --json      print one JSON object (type ArchiveReport)
  -h, --help  show this

Exit codes: 0 archived and verified, 1 something was refused or verification found something, 2 could not.

Examples:
  otel-audit archive ./audit-spool --out ./archive --vkey ./audit.vkey
  otel-audit archive postgres://localhost/app --out ./archive --vkey ./audit.vkey --json
  otel-audit archive ./audit-spool --out s3://audit-archive/billing --vkey ./audit.vkey
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    const out = requireOption(values.out, '--out')
    requireOption(positionals[0], 'SOURCE')
    const verifiers = values.vkey.flatMap(readVerifiers)
    const store = await openArchive(out, '--out')
    const intake = new Intake(values.json ? undefined : io)
    const streams: StreamOutcome[] = []
    // One after the other: a second source may go on where the first ends.
    for (const name of positionals.flatMap(expandSource)) {
      const records = intake.records(await openSource(name))
      streams.push(
        ...(await archiveRecords(records, { store, verifiers }).catch((thrown) => refuseStore(store, thrown))),
      )
    }
    const source = createArchiveSource(store, [...new Set(streams.map(({ stream }) => stream))])
    const verified =
      streams.length === 0
        ? undefined
        : combineReports([await verifySource(source, { verifiers, allowUnanchored: verifiers.length === 0 })])
    intake.end()
    const { read, damaged } = intake
    const isRefused = damaged.length > 0 || streams.some(({ refused }) => refused !== undefined)
    const exitCode = read === 0 ? 2 : isRefused ? 1 : (verified?.exitCode ?? 2)
    const report: ArchiveReport = {
      archive: store.name,
      read,
      damaged,
      streams,
      ...(verified && { verified }),
      exitCode,
    }
    io.stdout.write(values.json ? `${JSON.stringify(report)}\n` : describe(report, verifiers.length > 0))
    return exitCode
  },
}

/** Hands out the records of sources, and keeps account of them. */
class Intake {
  read = 0
  readonly damaged: ArchiveReport['damaged'][number][] = []
  readonly #progress: ReturnType<typeof startProgress> | undefined

  constructor(io: CommandIo | undefined) {
    this.#progress = io && startProgress(io)
  }

  async *records(source: Source): AsyncGenerator<StoredRecord[]> {
    for await (const group of source.read()) {
      yield group.flatMap((one) => {
        const reason = one.damage ?? 'it is no record of a trail'
        const record = one.damage === undefined ? toStored(one.bytes) : undefined
        if (record === undefined) this.#addDamage(source, one.position, reason)
        return record === undefined ? [] : [record]
      })
      this.read += group.length
      this.#progress?.show(`${printable(source.name)}: ${formatCount(this.read, 'record')} read`)
    }
  }

  end(): void {
    this.#progress?.clear()
  }

  #addDamage(source: Source, position: number, reason: string): void {
    if (this.damaged.length < damagedMax)
      this.damaged.push({ source: source.name, where: source.locate(position), reason })
  }
}

function toStored(found: Uint8Array): StoredRecord | undefined {
  const { stream, seq: sequence } = parseRecord(found) ?? {}
  if (stream === undefined || sequence === undefined || !Number.isSafeInteger(sequence) || sequence < 1)
    return undefined
  return { stream, sequence, bytes: Buffer.from(found.buffer, found.byteOffset, found.byteLength) }
}

/** What the disk says is no defect of ours. */
function refuseStore({ name }: ArchiveStore, thrown: unknown): never {
  if (thrown instanceof AuditError || errorCode(thrown) === undefined) throw thrown
  throw new AuditError('ARCHIVE_FAILED', `${name}: ${errorText(thrown)}`, {
    setting: '--out',
    hint: 'let this user write there, and look at the room that is left; the archive is as it was, run it again',
    cause: thrown,
  })
}

function describe(report: ArchiveReport, hasKeys: boolean): string {
  const { archive, read, damaged, streams, verified } = report
  const lines = streams.map(({ stream, from, size, tail, refused }) => {
    const added = `${formatCount(size - from, 'record')} added to ${from}, ${tail} after the checkpoint`
    return `  ${printable(stream)}: ${added}${refused === undefined ? '' : `; REFUSED: ${printable(refused)}`}`
  })
  const found = verified?.sources.flatMap(({ findings }) => findings) ?? []
  return [
    `${printable(archive)}: ${formatCount(read, 'record')} read`,
    ...lines,
    ...damaged.map(
      ({ source, where, reason }) => `  not a record: ${printable(source)} ${where}: ${printable(reason)}`,
    ),
    ...found.map(({ verdict, stream = '', detail }) => `  ${verdict} ${printable(stream)}: ${printable(detail)}`),
    `read back: ${verified?.verdict ?? 'NO_RECORDS'}${hasKeys ? '' : ' (no --vkey was given: nothing says whose it is)'}`,
    '',
  ].join('\n')
}
