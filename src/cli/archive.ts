/**
 * `otel-audit archive`: copies a trail into tiles that any checker of transparency logs can verify, and verifies what it
 * wrote by reading it back. Goes on where the archive ends.
 */

import { archiveRecords } from '../archive/archive.ts'
import { openFolder } from '../archive/store.ts'
import type { StreamOutcome } from '../archive/stream-archive.ts'
import { AuditError } from '../errors.ts'
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
  help: `Usage: otel-audit archive SOURCE... --out DIR [--vkey KEY]... [--json]

Copies what a SOURCE of verify holds into DIR, each stream as a transparency log of its own (c2sp.org/tlog-tiles):
DIR/STREAM/checkpoint, DIR/STREAM/tile/... Records after the last checkpoint stand in DIR/STREAM/tail.ndjson. Any checker
of such logs verifies it, and so does otel-audit verify DIR. Goes on where DIR ends: run it as often as you like. Killed
at any point it leaves the archive as it was, and the next run goes on. What does not fold to its signed checkpoints, or
contradicts what DIR holds, is not taken. Everything is read back and verified at the end.

Options:
  --out DIR   the folder of the archive; made when it is not there
  --vkey KEY  a verifier key, or a file with one a line; may be repeated. Only checkpoints of these keys count then.
              Without it the archive is only shown to fit together
  --json      print one JSON object (type ArchiveReport)
  -h, --help  show this

Exit codes: 0 archived and verified, 1 something was refused or verification found something, 2 could not.

Examples:
  otel-audit archive ./audit-spool --out ./archive --vkey ./audit.vkey
  otel-audit archive postgres://localhost/app --out ./archive --vkey ./audit.vkey --json
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({ args: [...argv], options, allowPositionals: true })
    const directory = requireOption(values.out, '--out')
    requireOption(positionals[0], 'SOURCE')
    if (directory.startsWith('s3://')) throw noBucket(directory)
    const verifiers = values.vkey.flatMap(readVerifiers)
    const store = openFolder(directory)
    const intake = new Intake(values.json ? undefined : io)
    const streams: StreamOutcome[] = []
    // One after the other: a second source may go on where the first ends.
    for (const name of positionals.flatMap(expandSource)) {
      streams.push(...(await archiveRecords(intake.records(await openSource(name)), { store, verifiers })))
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
      archive: directory,
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

function noBucket(given: string): AuditError {
  return new AuditError('INVALID_OPTION', `--out ${given}: an archive is written to a folder`, {
    setting: '--out',
    hint: 'archive to a folder, and copy it to the bucket as it is: its files never change but checkpoint and tail.ndjson',
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
