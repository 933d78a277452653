/** How fast a trail is verified, against nothing but SHA-256 over the same bytes. */

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as yieldToEventLoop } from 'node:timers/promises'
import { createAudit } from '../../src/index.ts'
import { type Bench, commandOf, inFolder } from './bench.ts'
import type { CheckerSetup } from './checkers.ts'
import { createEvent } from './event.ts'
import { medianRatio } from './figures.ts'
import { readMachine } from './machine.ts'
import { type Column, medians } from './report.ts'
import { takeTurns } from './turns.ts'

const contenders = {
  spool: '`verify` of the spool',
  ndjson: '`verify` of the NDJSON file',
  'sha-records': 'SHA-256 of each record',
  'sha-whole': 'one SHA-256 of the whole file',
}

const columns: readonly Column[] = [{ figure: 'perSecond', title: 'records/s', digits: 0 }]

const events = { full: 200_000, smoke: 500 }

export const verify: Bench = {
  name: 'verify',
  summary: 'records a second that verify checks',
  secondsDefault: 25,
  async run(options) {
    const machine = readMachine()
    return inFolder(async (makeFolder) => {
      const trail = await recordTrail(makeFolder('trail'), options.smoke ? events.smoke : events.full)
      options.onProgress(`recorded ${trail.records} records`)
      const { rounds } = await takeTurns({
        ...options,
        setups: Object.keys(contenders).map((name) => ({ role: 'checker', name, ...trail })),
        roundsMin: options.smoke ? 1 : 3,
        warmUp: (turn) => turn.order({ kind: 'measure' }),
        measure: async (turn) => {
          const figures = await turn.order({ kind: 'measure' })
          if (figures.records !== trail.records)
            throw new Error(`${turn.name} saw ${figures.records} of ${trail.records} records`)
          return figures
        },
      })
      const ratio = (name: string): number => medianRatio(rounds, 'perSecond', [name, 'sha-records'])
      return {
        bench: 'verify',
        title: '`verify`: a trail against raw SHA-256',
        command: commandOf('verify', options),
        machine,
        rounds: rounds.get('spool')?.length ?? 0,
        compared: [
          ...whatIsCompared(trail),
          `The spool is verified at ${formatRatio(ratio('spool'))} of the speed of hashing its records, the NDJSON file at ${formatRatio(ratio('ndjson'))}; no aim is set.`,
        ],
        columns,
        figures: medians(rounds, contenders, columns),
        aims: [],
      }
    })
  },
}

function formatRatio(ratio: number): string {
  return `${(ratio * 100).toFixed(0)} %`
}

function whatIsCompared({ ndjson, records }: CheckerSetup): string[] {
  const bytes = statSync(ndjson).size / records
  return [
    `One trail of ${records.toLocaleString('en-US')} records of ${bytes.toFixed(0)} bytes on average, checkpoints included; both copies must be found INTACT.`,
    '`verify` reads, parses, hashes each record, follows the links, rebuilds the tree and checks every signed checkpoint, in one thread.',
    'The raw hashes read the NDJSON file into memory and hash it, line by line or as a whole: nothing that verifies can be faster.',
    'The files are in the page cache.',
  ]
}

/** Makes a trail with the product itself: a spool, and the file that it delivers. */
async function recordTrail(directory: string, count: number): Promise<CheckerSetup> {
  const [spool, ndjson] = [join(directory, 'spool'), join(directory, 'audit.ndjson')]
  const audit = createAudit({
    service: 'bench',
    policy: { level: 'all' },
    spool: { directory: spool },
    keys: { signingKeyFile: join(directory, 'bench.key') },
    destinations: [{ type: 'file', path: ndjson }],
    closeTimeoutMs: 120_000,
  })
  for (let index = 0; index < count; index += 1) {
    audit.emit(createEvent(index))
    if (index % 100 === 0) await yieldToEventLoop() // checkpoints come back through the event loop
  }
  await audit.flush()
  await audit.close()
  return { spool, ndjson, verifierKey: audit.verifierKey, records: audit.state.sequence }
}
