/** What the proof of one record costs, from each kind of copy that need not be read for it, and what checkpoints cost. */

import { generateKeyPairSync, sign } from 'node:crypto'
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { leafHash } from '../../src/chain/hash.ts'
import { Frontier } from '../../src/chain/merkle.ts'
import { createAudit } from '../../src/index.ts'
import { startEmbeddedPostgres } from '../support/postgres.ts'
import { type Bench, type BenchOptions, commandOf, inFolder } from './bench.ts'
import { createEvent } from './event.ts'
import { type Figures, medianOf, type Rounds } from './figures.ts'
import { readMachine } from './machine.ts'
import { type Aim, type Column, medians } from './report.ts'
import { makeCopies } from './trail-copies.ts'
import { takeTurns } from './turns.ts'

const contenders = {
  'prove-archive': 'from the archive of tiles',
  'prove-spool': 'from the spool',
  'prove-postgres': 'from the database',
  'prove-ndjson': 'from the NDJSON file, which is read three times',
}

const sealings = {
  sealing: 'to emit and seal a record, all threads',
  checkpoint: 'of that for checkpoints: hash again, tree, signature',
}

const columns: readonly Column[] = [
  { figure: 'createMs', title: 'made, p50, ms', digits: 1 },
  { figure: 'slowMs', title: 'made, p99, ms', digits: 1 },
  { figure: 'checkMs', title: 'checked, ms', digits: 2 },
  { figure: 'recordUs', title: 'CPU a record, µs', digits: 1, table: 'checkpoints' },
]

const events = { full: 200_000, smoke: 500 }
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
        const trail = await makeCopies(makeFolder('trail'), options.smoke ? events.smoke : events.full, server.url)
        const count = options.smoke ? proofs.smoke : proofs.full
        const { rounds: proven } = await takeTurns({
          ...options,
          setups: Object.keys(contenders).map((name) => ({ role: 'checker', name, ...trail, proofs: count })),
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
          compared: whatIsCompared(trail.records, { sealing, checkpoint }),
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

/** What all threads of a service spend on a record until it is durable and covered. */
async function measureSealing(directory: string, { smoke }: BenchOptions): Promise<Figures> {
  const count = smoke ? events.smoke : events.full / 4
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
  const count = smoke ? events.smoke : events.full / 4
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
  return ['archive', 'spool', 'postgres'].map((name): Aim => {
    const found = medianOf(rounds, `prove-${name}`, 'createMs')
    return { what: `a proof from ${name}`, found, unit: 'ms', limit: 10, side: 'atMost' }
  })
}

function whatIsCompared(records: number, { sealing, checkpoint }: { sealing: Figures; checkpoint: Figures }): string[] {
  const share = ((checkpoint.recordUs ?? 0) / (sealing.recordUs ?? 1)) * 100
  return [
    `One trail of ${records.toLocaleString('en-US')} records, emitted as fast as the product takes it, so that its checkpoints lag behind by some thousand records; proofs are of records all over it, and each is checked.`,
    'From a spool and a database a window around the record is read, wide enough for the checkpoints on both sides: that cost does not grow with the trail, but with how far its checkpoints lag. From an archive one tile of records is read, and of each level of the tree a few hashes; of a file everything, three times.',
    `Checkpoints are ${share.toFixed(0)} % of what sealing costs.`,
  ]
}
