/** How many events a second become durable, and what it costs whoever emits them, against plain files and engines. */

import { type Bench, commandOf, inFolder } from './bench.ts'
import { type Figures, medianOf, medianRatio, type Rounds } from './figures.ts'
import { readMachine } from './machine.ts'
import { type Aim, type Column, medians } from './report.ts'
import type { KeeperLoad } from './spool-load.ts'
import { type Turn, takeTurns } from './turns.ts'

const contenders = {
  spool: 'the spool alone',
  audit: 'otel-audit, the whole `emit`',
  raw: 'a file: write, `fdatasync` a group',
  framed: 'a file: hash, frame, write, `fdatasync` a group',
  sqlite: '`node:sqlite`, WAL, `synchronous=FULL`',
  lmdb: 'LMDB',
  unsynced: '`appendFileSync`, never synced',
}

const inFlights = [1, 32, 1_000] as const

/** What is measured beside the busy pool ends in this; the other figures end in the number in flight. */
const busy = 'Busy'
const rate = { burstEvents: 10, everyMs: 10 }

/** How long one load takes, in milliseconds. */
const loadMs = { full: 400, busy: 800, warmUp: 300, smoke: 20 }

const columns: readonly Column[] = [
  ...inFlights.flatMap((inFlight) => columnsOf(inFlight)),
  ...busyColumns(`${formatCount((rate.burstEvents / rate.everyMs) * 1_000)} events/s beside four busy pool threads`),
]

function columnsOf(inFlight: number): Column[] {
  const table = `${formatCount(inFlight)} in flight`
  return [
    { table, figure: `perSecond${inFlight}`, title: 'durable events/s', digits: 0 },
    { table, figure: `durableP50Us${inFlight}`, title: 'durable p50, µs', digits: 0 },
    { table, figure: `durableP99Us${inFlight}`, title: 'durable p99, µs', digits: 0 },
    { table, figure: `appendP50Us${inFlight}`, title: 'call p50, µs', digits: 1 },
    { table, figure: `appendP99Us${inFlight}`, title: 'call p99, µs', digits: 1 },
    { table, figure: `diskRatio${inFlight}`, title: 'bytes on disk per byte of record', digits: 2 },
  ]
}

function busyColumns(table: string): Column[] {
  return [
    { table, figure: 'loopDelayAddedP99Us', title: 'event-loop delay p99, added, µs', digits: 0 },
    { table, figure: `durableP50Us${busy}`, title: 'durable p50, µs', digits: 0 },
    { table, figure: `durableP99Us${busy}`, title: 'durable p99, µs', digits: 0 },
  ]
}

export const spool: Bench = {
  name: 'spool',
  summary: 'events a second made durable, against files and engines',
  secondsDefault: 150,
  async run(options) {
    const machine = readMachine()
    return inFolder(async (makeFolder) => {
      const { rounds } = await takeTurns({
        ...options,
        setups: ['idle', ...Object.keys(contenders)].map((name) => ({
          role: 'keeper',
          name,
          directory: makeFolder(name),
        })),
        roundsMin: options.smoke ? 1 : 3,
        warmUp: (turn) => measureTurn(turn, options.smoke ? loadMs.smoke : loadMs.warmUp),
        measure: (turn) => measureTurn(turn, options.smoke ? loadMs.smoke : undefined),
      })
      const net = addDiskRatios(subtractIdle(rounds))
      return {
        bench: 'spool',
        title: '`spool`: from the call to the disk',
        command: commandOf('spool', options),
        machine,
        rounds: rounds.get('spool')?.length ?? 0,
        compared: [...whatIsCompared, ratioSentence(net)],
        columns,
        figures: medians(net, contenders, columns),
        aims: readAims(net),
      }
    })
  },
}

async function measureTurn(turn: Turn, forMs: number | undefined): Promise<Figures> {
  const figures: [string, number][] = []
  const measure = async (keeperLoad: KeeperLoad, suffix: string): Promise<void> => {
    const measured = await turn.order({ kind: 'measure', keeperLoad })
    for (const [name, value] of Object.entries(measured)) figures.push([`${name}${suffix}`, value])
  }
  for (const inFlight of inFlights) {
    await measure({ kind: 'inFlight', inFlight, forMs: forMs ?? loadMs.full }, String(inFlight))
  }
  await measure({ kind: 'busyPool', ...rate, forMs: forMs ?? loadMs.busy }, busy)
  return Object.fromEntries(figures)
}

/** The delay that the pool causes alone is nobody's. */
function subtractIdle(rounds: Rounds): Rounds {
  const idle = rounds.get('idle') ?? []
  const subtract = (figures: Figures, round: number): Figures => {
    const delay = (of: Figures | undefined): number => of?.[`loopDelayP99Us${busy}`] ?? Number.NaN
    return { ...figures, loopDelayAddedP99Us: delay(figures) - delay(idle[round]) }
  }
  return new Map([...rounds].map(([name, measured]) => [name, measured.map(subtract)]))
}

/** Over all rounds together: files grow in steps. Each round gets the same ratio. */
function addDiskRatios(rounds: Rounds): Rounds {
  const add = (measured: readonly Figures[]): Figures[] => {
    const sum = (name: string): number => measured.reduce((total, figures) => total + (figures[name] ?? Number.NaN), 0)
    const ratios = inFlights.map((inFlight) => {
      return [`diskRatio${inFlight}`, sum(`diskBytes${inFlight}`) / sum(`recordBytes${inFlight}`)] as const
    })
    return measured.map((figures) => ({ ...figures, ...Object.fromEntries(ratios) }))
  }
  return new Map([...rounds].map(([name, measured]) => [name, add(measured)]))
}

const whatIsCompared = [
  'All contenders take the same records as text, 830 to 1,085 bytes long; the whole `emit` makes its own from events, within a trace.',
  '"In flight" is how many events wait for their durability at most: for those that say when an event is durable (the spool, otel-audit, LMDB), so many requests emit, wait and begin again; for those that block (the file, SQLite) it is the size of a group, written and then committed by one thread that does nothing else meanwhile.',
  'The file is the floor: one write a record, one `fdatasync` a group, no frame, no checksum, no chain, nothing that tells a torn record from a whole one, and a blocked event loop. The file below it does what a chain and a recovery need for every record, in the same loop: the difference is what SHA-256 and CRC cost.',
  'The spool alone frames, hashes and writes on the calling thread, syncs in another, which also reads back, hashes again and signs checkpoints; these are sealed as records only by the whole `emit`, which has no destination here, so that nothing is delivered beside.',
  "SQLite takes one transaction a group. LMDB commits in libuv's pool, one transaction for what is put within a turn of the event loop, and resolves once it is synced. `appendFileSync` opens, writes and closes a path at every call, promises nothing, and is synced outside of what is measured.",
  'Call is the synchronous part alone: for SQLite the insert without the commit. The delay of the event loop is `monitorEventLoopDelay` less what the same loop shows without a spool, while four calls of `pbkdf2` occupy the pool all the time. Bytes on disk are what the files have grown by over all rounds, the zeros that the spool writes ahead included.',
]

function ratioSentence(rounds: Rounds): string {
  const peers = (['raw', 'framed', 'sqlite', 'lmdb'] as const).map((peer) => {
    const ratios = inFlights.map((inFlight) => medianRatio(rounds, `perSecond${inFlight}`, ['spool', peer]).toFixed(2))
    return `${contenders[peer]}: ${ratios.join(', ')}`
  })
  return `Durable events/s of the spool alone as a multiple, at ${inFlights.map(formatCount).join(', ')} in flight: ${peers.join('; ')}.`
}

function readAims(rounds: Rounds): Aim[] {
  return [
    ...inFlights.flatMap((inFlight) => speedAims(rounds, inFlight)),
    ...(['spool', 'audit'] as const).map((name) => callAim(rounds, name)),
    ...inFlights.map((inFlight) => diskAim(rounds, inFlight)),
  ]
}

function speedAims(rounds: Rounds, inFlight: number): Aim[] {
  const figure = `perSecond${inFlight}`
  const engine = medianOf(rounds, 'sqlite', figure) > medianOf(rounds, 'lmdb', figure) ? 'sqlite' : 'lmdb'
  const against = (peer: string) => ({ found: medianRatio(rounds, figure, ['spool', peer]), unit: '×' }) as const
  const what = `durable events/s of the spool, ${formatCount(inFlight)} in flight,`
  return [
    { what: `${what} against the file`, ...against('raw'), limit: 0.7, side: 'atLeast' },
    { what: `${what} against the faster engine, ${contenders[engine]}`, ...against(engine), limit: 1, side: 'atLeast' },
  ]
}

function callAim(rounds: Rounds, name: 'spool' | 'audit'): Aim {
  const found = medianRatio(rounds, 'appendP50Us32', [name, 'unsynced'])
  return {
    what: `call p50 of ${contenders[name]}, 32 in flight, against \`appendFileSync\``,
    found,
    unit: '×',
    limit: 1.2,
    side: 'atMost',
  }
}

function diskAim(rounds: Rounds, inFlight: number): Aim {
  const found = medianOf(rounds, 'audit', `diskRatio${inFlight}`)
  const what = `bytes on disk per byte of record, checkpoints included, ${formatCount(inFlight)} in flight`
  return { what, found, unit: '×', limit: 1.15, side: 'atMost' }
}

function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}
