/** What the proof of one record costs, from each kind of copy that need not be read for it, and what checkpoints cost. */

import { generateKeyPairSync, sign } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { leafHash } from '../../src/chain/hash.ts'
import { Frontier } from '../../src/chain/merkle.ts'
import { createAudit } from '../../src/index.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { startEmbeddedPostgres } from '../support/postgres.ts'
import { type Bench, type BenchOptions, commandOf, inFolder } from './bench.ts'
import { createEvent } from './event.ts'
import { type Figures, medianOf, type Rounds } from './figures.ts'
import { makeLongArchive, sequencesOver } from './long-archive.ts'
import { readMachine } from './machine.ts'
import { type Aim, type Column, medians } from './report.ts'
import { fillDatabase, recordTrail, type TrailCopies, writeLines } from './trail-copies.ts'
import { takeTurns } from './turns.ts'

const contenders = {
  'prove-archive': 'from the archive of tiles',
  'prove-spool': 'from the spool',
  'prove-spool-id': 'from the spool, by the id of the record',
  'prove-postgres': 'from the database',
  'prove-postgres-id': 'from the database, by the id of the record',
  'prove-ndjson': 'from the NDJSON file, which is read three times',
}

const sealings = {
  sealing: 'to emit and seal a record, all threads',
  checkpoint: 'of that for checkpoints: hash again, tree, signature',
}

const columns: readonly Column[] = [
  { figure: 'records', title: 'records in the copy', digits: 0 },
  { figure: 'createMs', title: 'made, p50, ms', digits: 1 },
  { figure: 'slowMs', title: 'made, p99, ms', digits: 1 },
  { figure: 'checkMs', title: 'checked, ms', digits: 2 },
  { figure: 'reads', title: 'read calls', digits: 0 },
  { figure: 'kilobytes', title: 'read, KB', digits: 0 },
  { figure: 'recordUs', title: 'CPU a record, µs', digits: 1, table: 'checkpoints' },
]

const events = { full: 400_000, smoke: 500 }
/** Of the archive, of which nothing but hashes need be there. */
const archived = { full: 10_000_000, smoke: 2_000 }
const sealed = { full: 50_000, smoke: 500 }
const proofs = { full: 100, smoke: 3 }
const checkpointRecords = 256

export const proof: Bench = {
  name: 'proof',
  summary: 'what the proof of one record costs, and what checkpoints cost',
  secondsDefault: 60,
  async run(options) {
    const machine = readMachine()
    const server = await startEmbeddedPostgres()
    try {
      return await inFolder(async (makeFolder) => {
        const count = options.smoke ? proofs.smoke : proofs.full
        const length = options.smoke ? archived.smoke : archived.full
        const long = makeLongArchive(makeFolder('archive'), length, sequencesOver(length, count))
        options.onProgress(`archived ${long.records} records`)
        const trail = await makeTrail(makeFolder('trail'), options.smoke ? events.smoke : events.full, server.url)
        options.onProgress(`recorded ${trail.records} records`)
        const { rounds: proven } = await takeTurns({
          ...options,
          setups: Object.keys(contenders).map((name) => {
            return { role: 'checker', name, ...trail, ...(name === 'prove-archive' && long), proofs: count }
          }),
          roundsMin: options.smoke ? 1 : 3,
          warmUp: (turn) => turn.order({ kind: 'measure' }),
          measure: (turn) => turn.order({ kind: 'measure' }),
        })
        const sealing = await measureSealing(makeFolder('sealing'), options)
        const checkpoint = measureCheckpoints(options)
        const rounds: Rounds = new Map([...proven, ['sealing', [sealing]], ['checkpoint', [checkpoint]]])
        return {
          bench: 'proof',
          title: '`proof`: one record, without the others',
          command: commandOf('proof', options),
          machine,
          rounds: proven.get('prove-spool')?.length ?? 0,
          compared: whatIsCompared({ sealing, checkpoint }),
          columns,
          figures: medians(rounds, { ...contenders, ...sealings }, columns),
          aims: readAims(rounds),
        }
      })
    } finally {
      await server.stop()
    }
  },
}

/** One trail in the spool, the database and the NDJSON file. */
async function makeTrail(directory: string, count: number, server: string): Promise<TrailCopies> {
  const [spool, ndjson] = [join(directory, 'spool'), join(directory, 'audit.ndjson')]
  const { verifierKey, records } = await recordTrail(directory, spool, count)
  const stored = () => viewSpool(diskFiles, spool).records()
  await writeLines(ndjson, stored())
  const postgres = await fillDatabase(server, stored())
  const { size: bytes } = statSync(ndjson)
  return { spool, ndjson, postgres, gzip: '', otlp: '', archive: '', verifierKey, records, bytes }
}

/** What all threads of a service spend on a record until it is durable and covered. */
async function measureSealing(directory: string, { smoke }: BenchOptions): Promise<Figures> {
  const count = smoke ? sealed.smoke : sealed.full
  const audit = createAudit({
    service: 'bench',
    policy: { level: 'all' },
    spool: { directory: `${directory}/spool` },
    keys: { signingKeyFile: `${directory}/bench.key` },
    destinations: [],
  })
  const whole = process.cpuUsage()
  for (let index = 0; index < count; index += 1) {
    audit.emit(createEvent(index))
    if (index % 100 === 0) await yieldToEventLoop() // checkpoints come back through the event loop
  }
  await audit.close()
  const { user, system } = process.cpuUsage(whole)
  return { recordUs: (user + system) / count }
}

/** What the worker does for a checkpoint and for nothing else: hash what became durable again, add it to the tree, sign. */
function measureCheckpoints({ smoke }: BenchOptions): Figures {
  const count = smoke ? sealed.smoke : sealed.full
  const record = Buffer.alloc(900, 'x')
  const { privateKey } = generateKeyPairSync('ed25519')
  const tree = new Frontier()
  const whole = process.threadCpuUsage()
  for (let index = 1; index <= count; index += 1) {
    tree.append(leafHash(record))
    if (index % checkpointRecords === 0) sign(null, tree.root(), privateKey)
  }
  const { user, system } = process.threadCpuUsage(whole)
  return { recordUs: (user + system) / count }
}

function readAims(rounds: Rounds): Aim[] {
  return (['archive', 'spool', 'spool-id', 'postgres', 'postgres-id'] as const).map((name): Aim => {
    const found = medianOf(rounds, `prove-${name}`, 'createMs')
    return { what: `a proof, ${contenders[`prove-${name}`]}`, found, unit: 'ms', limit: 10, side: 'atMost' }
  })
}

function whatIsCompared({ sealing, checkpoint }: { sealing: Figures; checkpoint: Figures }): string[] {
  const share = ((checkpoint.recordUs ?? 0) / (sealing.recordUs ?? 1)) * 100
  return [
    'Proofs are of records all over the copy, and each is checked.',
    'The archive is made for this: linked records of some 300 bytes, every tile of hashes, and the tiles of those records that are asked for. From an archive one tile of records is read, and on the way to the root one tile of hashes for each level and side: that grows with the logarithm of the trail.',
    'Spool, database and file hold one trail that the product has sealed as fast as it takes events, so that its checkpoints lag behind by some thousand records. From a spool and a database a window around the record is read, wide enough for the checkpoints on both sides: that does not grow with the trail, but with how far its checkpoints lag. An id leads to its place in a spool by the time in it, in a database by the index on times. Of a file everything is read, three times.',
    'What is read is counted by the kernel, from files and from the server; the files are in the page cache.',
    `Checkpoints are ${share.toFixed(0)} % of what sealing costs.`,
  ]
}
