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

/** As many different requests as the loop sends, over and over: all of them would take gigabytes. */
const keptBatches = 64

/** Posts pre-encoded requests, two at a time as the `otlp` destination does. */
export function createPostLoop({ destination, backlog }: DrainerSetup): Drainer {
  if (destination.type !== 'otlp' || destination.endpoint === undefined) throw new Error('no OTLP endpoint')
  const { endpoint, protocol = 'http/protobuf' } = destination
  const batches = readBatches(backlog, destination.batchRecordsMax ?? batchRecordsMax)
  const requests = batches.slice(0, keptBatches).map((records) => {
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
  const batches = readBatches(backlog, destination.batchRecordsMax ?? batchRecordsMax)
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
  const batches = readBatches(backlog, batchRecordsMax).map(encodeLines)
  return {
    prepare: async () => rmSync(path, { force: true }),
    async drain() {
      const file = openSync(path, 'a')
      for (const lines of batches) {
        for (let written = 0; written < lines.length; ) written += writeSync(file, lines, written)
        if (isSynced) fdatasyncSync(file)
      }
      closeSync(file)
      return { records: backlog.records }
    },
  }
}

/** All records of the spool, in batches. */
function readBatches(backlog: Backlog, records: number): StoredRecord[][] {
  const end = endOf(backlog)
  const reader = new SpoolReader(diskFiles, backlog.directory, () => end)
  const batches: StoredRecord[][] = []
  for (;;) {
    const batch = reader.next({ records, bytes: Number.MAX_SAFE_INTEGER })
    if (batch.length === 0) break
    batches.push(batch)
  }
  reader.close()
  return batches
}
