/** Our two contenders of `spool`: the spool alone, which takes records, and the whole way of an event into it. */

import { join } from 'node:path'
import { startSyncThread, workerModule } from '../../src/audit/threads.ts'
import { loadOrCreateKey } from '../../src/chain/keys.ts'
import { type AuditEvent, createAudit, type Receipt } from '../../src/index.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { openReader } from '../../src/spool/settle.ts'
import { Spool } from '../../src/spool/spool.ts'
import { createEventOfAnyLength } from './event.ts'
import type { Keeper, KeeperSetup } from './spool-keeper.ts'
import type { BenchRecords } from './spool-keepers.ts'

const deployment = 'bench'
/** Those of `createAudit`: keeping to them costs something too. */
const limits = { bytesMax: 10 * 2 ** 30, reserveBytes: 16 * 2 ** 20, unsyncedBytesMax: 64 * 2 ** 20 }

/** The sync thread reads back, hashes and signs as ever; its checkpoints are not sealed, being nobody else's work. */
export function createSpoolKeeper({ directory }: KeeperSetup, records: BenchRecords): Keeper<string> {
  const spool = Spool.open({ directory: join(directory, 'spool'), deployment, ...limits })
  const key = { pem: loadOrCreateKey(join(directory, 'bench.key'), deployment), name: deployment }
  const thread = startSyncThread(workerModule(undefined), { role: 'sync', start: spool.syncerStart(), key }, spool)
  spool.attach(thread, { checkpoint() {}, changed() {}, rotten() {} })
  return {
    ...records,
    append: (record) => void spool.append(record, {}),
    durable: () => spool.durable({ stream: spool.stream, sequence: spool.end.nextSequence - 1 }),
    settle: () => Promise.resolve(),
    close: () => spool.stop(),
  }
}

/** No destination: nothing is delivered beside, and nothing is reclaimed. */
export function createAuditKeeper({ directory }: KeeperSetup): Keeper<AuditEvent> {
  const spoolDirectory = join(directory, 'spool')
  const audit = createAudit({
    service: 'bench',
    policy: { level: 'all' },
    spool: { directory: spoolDirectory },
    keys: { signingKeyFile: join(directory, 'bench.key') },
    destinations: [],
  })
  let last: Receipt | undefined
  return {
    create: createEventOfAnyLength,
    append(event) {
      last = audit.emit(event)
    },
    durable: () => last?.durable ?? Promise.resolve(),
    recordBytes: () => eventRecordBytes(spoolDirectory, last),
    settle: () => Promise.resolve(),
    async close() {
      await audit.close()
      if (audit.state.emergencies > 0) throw new Error(`${audit.state.emergencies} events did not reach the spool`)
    },
  }
}

/** The mean length of the last records of durable events: as many as there are lengths. */
function eventRecordBytes(directory: string, receipt: Receipt | undefined): number {
  if (receipt?.status !== 'written') throw new Error('nothing was written')
  const sequence = Math.max(1, receipt.sequence - 256)
  const reader = openReader(diskFiles, directory)
  reader.seek({ confirmed: { stream: receipt.stream, sequence } })
  const records = reader.next({ records: 256, bytes: Number.MAX_SAFE_INTEGER }).map(({ bytes }) => bytes)
  reader.close()
  const ofEvents = records.filter((bytes) => bytes.includes('"event_type":"audit"'))
  return ofEvents.reduce((sum, { length }) => sum + length, 0) / ofEvents.length
}
