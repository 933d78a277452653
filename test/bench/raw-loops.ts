/**
 * The limits of `drain`: the least that a loop can do to bring the same records to the same peer. None reads a spool,
 * keeps a cursor, looks at an answer or could go on after a failure; what they send was put together beforehand, except
 * for the rows of COPY, whose columns have to be derived by anybody.
 */

import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { encodeLines } from '../../src/destination/lines.ts'
import { createRequestEncoder, mediaTypes } from '../../src/destination/otlp-request.ts'
import type { StoredRecord } from '../../src/event/record.ts'
import { batchRecordsMax } from '../../src/limits.ts'
import { createConnection } from '../../src/postgres/client.ts'
import { copyStatement, encodeCopy } from '../../src/postgres/copy-records.ts'
import { deriveColumns } from '../../src/postgres/projection.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { SpoolReader } from '../../src/spool/reader.ts'
import { type Backlog, endOf } from './backlog.ts'
import type { Drainer, DrainerSetup } from './drainer.ts'
import { clearTables } from './postgres-load.ts'

/** So many batches are sent over and over: all of a backlog would take gigabytes. */
const keptBatches = 64

/** Posts pre-encoded requests, two at a time as the `otlp` destination does. */
export function createPostLoop({ destination, backlog }: DrainerSetup): Drainer {
  if (destination.type !== 'otlp' || destination.endpoint === undefined) throw new Error('no OTLP endpoint')
  const { endpoint, protocol = 'http/protobuf' } = destination
  const kept = readBatches(backlog, { records: destination.batchRecordsMax ?? batchRecordsMax, most: keptBatches })
  const requests = kept.map((records) => {
    return { records: records.length, body: Buffer.from(createRequestEncoder(protocol).encode(records)) }
  })
  const url = new URL(`${endpoint}/v1/logs`)
  const options = { method: 'POST', agent: new http.Agent({ keepAlive: true }) }
  const post = (body: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      http
        .request(url, { ...options, headers: { 'Content-Type': mediaTypes[protocol] } })
        .on('response', (response) => response.resume().on('end', resolve))
        .on('error', reject)
        .end(body)
    })
  return {
    async drain() {
      let sent = 0
      const sendOn = async (): Promise<void> => {
        for (let at = 0; sent < backlog.records; at += 1) {
          const request = requests[at % requests.length]
          if (request === undefined) return
          sent += request.records
          await post(request.body)
        }
      }
      await Promise.all([sendOn(), sendOn()])
      return { records: sent }
    },
    close: async () => options.agent.destroy(),
  }
}

/** Derives, encodes and copies, one batch after the other, each a transaction of its own; nothing is locked or compared. */
export function createCopyLoop({ destination, backlog }: DrainerSetup): Drainer {
  if (destination.type !== 'postgres') throw new Error('no database')
  const connection = createConnection({ url: destination.url })
  let opened: Promise<void> | undefined
  const batches = readBatches(backlog, { records: destination.batchRecordsMax ?? batchRecordsMax })
  return {
    async prepare() {
      opened ??= connection.open()
      await opened
      await clearTables(connection)
    },
    async drain() {
      // One after the other, as the one connection takes them.
      for (const batch of batches) await connection.copyIn(copyStatement, encodeCopy(batch.map(deriveColumns)))
      return { records: backlog.records }
    },
    close: () => connection.end(),
  }
}

/** Appends the lines, a write for each batch, with a sync behind it or without. */
export function createAppendLoop({ backlog, directory }: DrainerSetup, { isSynced }: { isSynced: boolean }): Drainer {
  const path = join(directory, 'raw.ndjson')
  const kept = readBatches(backlog, { records: batchRecordsMax, most: keptBatches }).map((records) => {
    return { records: records.length, lines: encodeLines(records) }
  })
  return {
    prepare: async () => rmSync(path, { force: true }),
    async drain() {
      const file = openSync(path, 'a')
      let appended = 0
      for (let at = 0; appended < backlog.records; at += 1) {
        const batch = kept[at % kept.length]
        if (batch === undefined) break
        const { records, lines } = batch
        for (let written = 0; written < lines.length; ) written += writeSync(file, lines, written)
        if (isSynced) fdatasyncSync(file)
        appended += records
      }
      closeSync(file)
      return { records: appended }
    },
  }
}

/** The records of the spool from its beginning, in batches, at most so many of them. */
function readBatches(
  backlog: Backlog,
  { records, most = Number.POSITIVE_INFINITY }: { records: number; most?: number },
): StoredRecord[][] {
  const end = endOf(backlog)
  const reader = new SpoolReader(diskFiles, backlog.directory, () => end)
  const batches: StoredRecord[][] = []
  while (batches.length < most) {
    const batch = reader.next({ records, bytes: Number.MAX_SAFE_INTEGER })
    if (batch.length === 0) break
    batches.push(batch)
  }
  reader.close()
  return batches
}
