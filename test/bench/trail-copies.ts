/** One trail, made by the product itself, in every kind of copy that `verify` reads. */

import { createWriteStream, statSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { createGzip } from 'node:zlib'
import { createRequestEncoder } from '../../src/destination/otlp-request.ts'
import { createPostgresDestination } from '../../src/destination/postgres.ts'
import { createAudit } from '../../src/index.ts'
import { withConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { queryOnce } from '../support/postgres.ts'
import { craftArchive } from '../tamper/crafted-archive.ts'
import { createEvent } from './event.ts'

export interface TrailCopies {
  readonly spool: string
  readonly ndjson: string
  readonly gzip: string
  readonly otlp: string
  readonly archive: string
  /** URL of the database. */
  readonly postgres: string
  readonly verifierKey: string
  /** How many records each copy holds, and their bytes as NDJSON. */
  readonly records: number
  readonly bytes: number
}

const batchRecords = 512
/** The collector's files keep to lines of this many requests; the destination sends as many records in one. */
const emittedBetweenTurns = 100

export async function makeCopies(directory: string, events: number, server: string): Promise<TrailCopies> {
  const spool = join(directory, 'spool')
  const { verifierKey, records } = await recordTrail(directory, spool, events)
  const lines = [...viewSpool(diskFiles, spool).records()].map(({ bytes, stream, sequence }) => ({
    bytes,
    stream,
    sequence,
  }))
  const [ndjson, gzip] = [join(directory, 'audit.ndjson'), join(directory, 'closed.ndjson.gz')]
  const otlp = join(directory, 'collector.jsonl')
  await writeLines(ndjson, lines)
  await pipeline(Readable.from(linesOf(lines)), createGzip(), createWriteStream(gzip))
  const encoder = createRequestEncoder('http/json')
  const asBatch = function* () {
    for (let from = 0; from < lines.length; from += batchRecords)
      yield Buffer.concat([encoder.encode(lines.slice(from, from + batchRecords)), Buffer.of(0x0a)])
  }
  await pipeline(Readable.from(asBatch()), createWriteStream(otlp))
  const archive = join(directory, 'archive')
  craftArchive(
    archive,
    lines.map(({ bytes }) => bytes.toString('utf8')),
  )
  const postgres = await fillDatabase(server, lines)
  const { size: bytes } = statSync(ndjson)
  return { spool, ndjson, gzip, otlp, archive, postgres, verifierKey, records, bytes }
}

/** Writes the records as NDJSON. */
export async function writeLines(path: string, records: Iterable<Stored>): Promise<void> {
  await pipeline(Readable.from(linesOf(records)), createWriteStream(path))
}

function* linesOf(records: Iterable<Stored>): Generator<Buffer> {
  for (const { bytes } of records) yield Buffer.concat([bytes, Buffer.of(0x0a)])
}

/** Emits so many events as fast as the product takes them. */
export async function recordTrail(directory: string, spool: string, events: number) {
  const audit = createAudit({
    service: 'bench',
    policy: { level: 'all' },
    spool: { directory: spool },
    keys: { signingKeyFile: join(directory, 'bench.key') },
    destinations: [],
    closeTimeoutMs: 120_000,
  })
  for (let index = 0; index < events; index += 1) {
    audit.emit(createEvent(index))
    if (index % emittedBetweenTurns === 0) await yieldToEventLoop() // checkpoints come back through the event loop
  }
  await audit.flush()
  await audit.close()
  return { verifierKey: audit.verifierKey, records: audit.state.sequence }
}

export type Stored = { readonly bytes: Buffer; readonly stream: string; readonly sequence: number }

/** Makes a database on the server and delivers the records into it; its URL. */
export async function fillDatabase(server: string, lines: Iterable<Stored>): Promise<string> {
  await queryOnce(server, 'create database bench_verify')
  const url = new URL('/bench_verify', server).href
  await withConnection({ url }, (connection) => migrateUp(connection))
  const destination = createPostgresDestination({ type: 'postgres', url })
  for (const records of batchesOf(lines)) {
    // One after the other: the head of a stream moves forward.
    const delivery = await destination.send({ records, bytes: 1 }, AbortSignal.timeout(60_000))
    if (delivery.status !== 'delivered') throw new Error(`the database has not taken the trail: ${delivery.status}`)
  }
  await destination.close()
  return url
}

function* batchesOf(lines: Iterable<Stored>): Generator<Stored[]> {
  let batch: Stored[] = []
  for (const one of lines) {
    batch.push(one)
    if (batch.length < batchRecords) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
