/** How fast each copy of a trail is verified, against nothing but SHA-256 over the same bytes; and what is kept of it. */

import { startEmbeddedPostgres } from '../support/postgres.ts'
import { type Bench, type BenchOptions, commandOf, inFolder } from './bench.ts'
import { medianOf, medianRatio, type Rounds } from './figures.ts'
import { readMachine } from './machine.ts'
import { type Aim, type Column, medians } from './report.ts'
import { makeCopies, type TrailCopies } from './trail-copies.ts'
import { takeTurns } from './turns.ts'

const contenders = {
  spool: '`verify` of the spool',
  ndjson: '`verify` of the NDJSON file',
  gzip: '`verify` of the NDJSON file, gzip',
  archive: '`verify` of the archive of tiles',
  otlp: "`verify` of the collector's OTLP JSON",
  postgres: '`verify` of the database',
  'sha-records': 'SHA-256 of each record',
  'sha-whole': 'one SHA-256 of the whole file',
  sha256sum: '`sha256sum` of the file',
}

/** Each in a process of its own, once: how much memory it has held at most does not fall again. */
const lengths = {
  'memory-short': { full: 100_000, smoke: 1_000 },
  'memory-long': { full: 10_000_000, smoke: 2_000 },
}

const columns: readonly Column[] = [
  { figure: 'perSecond', title: 'records/s', digits: 0 },
  { figure: 'megabytes', title: 'MB/s', digits: 0 },
  { figure: 'share', title: 'of SHA-256 of each record, ×', digits: 2 },
  { figure: 'cpuUs', title: 'CPU of all threads per record, µs', digits: 2 },
  { figure: 'peakMegabytes', title: 'memory at most, MB', digits: 0, table: 'what is kept' },
]

const events = { full: 100_000, smoke: 500 }

export const verify: Bench = {
  name: 'verify',
  summary: 'records a second that verify checks, from each kind of copy',
  secondsDefault: 120,
  async run(options) {
    const machine = readMachine()
    const server = await startEmbeddedPostgres()
    try {
      return await inFolder(async (makeFolder) => {
        const trail = await makeCopies(makeFolder('trail'), options.smoke ? events.smoke : events.full, server.url)
        options.onProgress(`recorded ${trail.records} records`)
        const rounds = new Map([...(await measureSpeed(trail, options)), ...(await measureMemory(trail, options))])
        return {
          bench: 'verify',
          title: '`verify`: a trail against raw SHA-256',
          command: commandOf('verify', options),
          machine,
          rounds: rounds.get('spool')?.length ?? 0,
          compared: whatIsCompared(trail, rounds),
          columns,
          figures: withShares(medians(rounds, { ...contenders, ...lengthTitles(options) }, columns), rounds),
          aims: readAims(rounds),
        }
      })
    } finally {
      await server.stop()
    }
  },
}

async function measureSpeed(trail: TrailCopies, options: BenchOptions): Promise<Rounds> {
  const { rounds } = await takeTurns({
    ...options,
    setups: Object.keys(contenders).map((name) => ({ role: 'checker', name, ...trail })),
    roundsMin: options.smoke ? 1 : 3,
    warmUp: (turn) => turn.order({ kind: 'measure' }),
    measure: (turn) => turn.order({ kind: 'measure' }),
  })
  return rounds
}

async function measureMemory(trail: TrailCopies, options: BenchOptions): Promise<Rounds> {
  const { rounds } = await takeTurns({
    ...options,
    seconds: 0,
    setups: Object.entries(lengths).map(([name, { full, smoke }]) => {
      return { role: 'checker', name, ...trail, longRecords: options.smoke ? smoke : full }
    }),
    roundsMin: 1,
    warmUp: async () => {},
    measure: (turn) => turn.order({ kind: 'measure' }),
  })
  return rounds
}

function lengthTitles({ smoke }: BenchOptions): Record<string, string> {
  const titles = Object.entries(lengths).map(([name, { full, smoke: few }]) => {
    return [name, `a trail of ${(smoke ? few : full).toLocaleString('en-US')} records`] as const
  })
  return Object.fromEntries(titles)
}

/** With the speed of each contender as a share of that of hashing each record. */
function withShares(figures: Figured, rounds: Rounds): Figured {
  const rows = Object.entries(contenders).map(([name, title]) => {
    return [title, { ...figures[title], share: medianRatio(rounds, 'perSecond', [name, 'sha-records']) }] as const
  })
  return { ...figures, ...Object.fromEntries(rows) }
}

type Figured = ReturnType<typeof medians>

function readAims(rounds: Rounds): Aim[] {
  const perCore = (name: string): number => 1e6 / medianOf(rounds, name, 'cpuUs')
  const share = (name: string): number => medianRatio(rounds, 'perSecond', [name, 'sha-records'])
  return ['spool', 'ndjson'].flatMap((name): Aim[] => [
    { what: `${name}, records/s and core`, found: perCore(name), unit: 'records/s', limit: 500_000, side: 'atLeast' },
    { what: `${name} against SHA-256 of each record`, found: share(name), unit: '×', limit: 0.6, side: 'atLeast' },
  ])
}

function whatIsCompared({ bytes, records }: TrailCopies, rounds: Rounds): string[] {
  const growth = medianOf(rounds, 'memory-long', 'peakMegabytes') - medianOf(rounds, 'memory-short', 'peakMegabytes')
  return [
    `One trail of ${records.toLocaleString('en-US')} records of ${(bytes / records).toFixed(0)} bytes on average, checkpoints included, emitted as fast as the product takes it; every copy must be found INTACT.`,
    '`verify` reads, finds the members that it needs in the bytes, hashes each record, follows the links, rebuilds the tree and checks every signed checkpoint, in one thread; reading and decompressing have threads of their own, whose CPU is counted.',
    "From a collector's file, of which every line is parsed, and a database it also compares with each record all that was derived from it; the database sends while records are verified, and its own CPU is not counted.",
    'MB/s are those of the records as NDJSON, whatever the copy has.',
    'The raw hashes read the NDJSON file into memory and hash it, line by line or as a whole.',
    'The files are in the page cache; the database is on the same machine.',
    `The long and the short trail are made while they are verified, each in a process of its own; the long one takes ${growth.toFixed(0)} MB more.`,
  ]
}
