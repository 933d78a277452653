/**
 * What redaction costs for a kilobyte of details, against the redactors of pino and plain serialization of the same
 * value, and how much more the most hostile text costs for each byte than a typical one.
 */

import { createRequire } from 'node:module'
import { hrtime } from 'node:process'
import slowRedact from '@pinojs/redact'
import { convertEvent } from '../../src/event/convert.ts'
import type { ConvertedEvent } from '../../src/event/converted-event.ts'
import { compileRedaction } from '../../src/policy/redact.ts'
import { redactText } from '../../src/policy/redact-text.ts'
import { redactionPresets } from '../../src/policy/redaction/options.ts'
import { hostileTexts } from '../policy/redaction/hostile-texts.ts'
import { type Bench, type BenchOptions, commandOf } from './bench.ts'
import { createEvent } from './event.ts'
import { type Figures, medianOf, medianRatio, type Rounds } from './figures.ts'
import { readMachine } from './machine.ts'
import { type Aim, type Column, medians } from './report.ts'

/** One round of a contender: figures of what it was given. */
type Contender = (options: BenchOptions) => Figures

/** Details as events have them: names, words, identifiers, times, numbers; about a kilobyte, and nothing to hide. */
const details = {
  note: 'The invoice was refunded to the customer, because the delivery failed twice; see the ticket opened by support.',
  ticket: { id: 'OPS-1234', opened: '2026-11-22T15:28:21.123Z', labels: ['refund', 'delivery', 'priority-2'] },
  order: { id: '019b7ca9-8dff-7000-8000-000000000001', total: 1299.5, currency: 'EUR', lines: 7 },
  digest: 'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  shipment: { carrier: 'example-logistics', attempts: 2, window: '08:00-12:00', state: 'returned to sender' },
  comment: 'Customer asked by phone whether the amount can be credited to the next order instead of being paid out.',
  flags: { manual: true, reviewed: false, escalated: null },
  history: [
    { at: '2026-11-20T09:12:44Z', state: 'sent', by: 'warehouse-7' },
    { at: '2026-11-21T17:40:02Z', state: 'failed: nobody at home', by: 'driver-113' },
    { at: '2026-11-22T10:02:31Z', state: 'failed: address unknown', by: 'driver-98' },
  ],
} as const
const kilobytes = Buffer.byteLength(JSON.stringify(details)) / 1_000

const paths = ['password', 'token', '*.password', '*.token', '*.*.password']
const redactPino = slowRedact({ paths, serialize: JSON.stringify })
type MakeRedactor = (options: { paths: string[]; serialize: (value: unknown) => string }) => (value: unknown) => string
const makeFast: MakeRedactor = createRequire(import.meta.url)('fast-redact') // it has no types
const redactFast = makeFast({ paths, serialize: JSON.stringify })

const contenders: Readonly<Record<string, { readonly title: string; readonly measure: Contender }>> = {
  stringify: { title: '`JSON.stringify` of the value', measure: ofDetails(JSON.stringify) },
  pino: { title: '`@pinojs/redact` (pino 10), five paths, with its serialization', measure: ofDetails(redactPino) },
  fast: { title: '`fast-redact` (pino 9), five paths, with its serialization', measure: ofDetails(redactFast) },
  ...Object.fromEntries(
    redactionPresets.map((preset) => {
      const { redact } = compileRedaction({ preset })
      return [preset, { title: `otel-audit, preset \`${preset}\``, measure: ofEvents(redact) }]
    }),
  ),
  hostile: { title: 'otel-audit, every rule: the most hostile text', measure: ofHostileTexts },
}

const columns: readonly Column[] = [
  { figure: 'kilobyteUs', title: 'a kilobyte of details, µs', digits: 2 },
  { figure: 'eventUs', title: 'a typical event, µs', digits: 2 },
]

export const redact: Bench = {
  name: 'redact',
  summary: 'what redaction costs, for typical and for hostile content',
  secondsDefault: 30,
  run: async (options) => {
    const machine = readMachine()
    const rounds = playRounds(options)
    return {
      bench: 'redact',
      title: '`redact`: what it costs to hide',
      command: commandOf('redact', options),
      machine,
      rounds: rounds.get('default')?.length ?? 0,
      compared: whatIsCompared,
      columns,
      figures: medians(
        rounds,
        mapValues(contenders, ({ title }) => title),
        columns,
      ),
      aims: readAims(rounds),
    }
  },
}

function playRounds(options: BenchOptions): Rounds {
  const rounds = new Map<string, Figures[]>(Object.keys(contenders).map((name) => [name, []]))
  const end = hrtime.bigint() + BigInt(options.seconds * 1e9)
  const roundsMin = options.smoke ? 1 : 4
  for (let round = 0; round < roundsMin || hrtime.bigint() < end; round++) {
    for (const [name, { measure }] of Object.entries(contenders)) {
      const figures = measure(options)
      // The first round warms up.
      if (round > 0 || options.smoke) rounds.get(name)?.push(figures)
    }
    options.onProgress(`round ${round}`)
  }
  return rounds
}

function ofDetails(redactDetails: (value: typeof details) => unknown): Contender {
  return ({ smoke }) => ({ kilobyteUs: timeUs(smoke ? 10 : 20_000, () => redactDetails(details)) / kilobytes })
}

function ofEvents(redactEvent: (event: ConvertedEvent) => unknown): Contender {
  const withDetails = convertEvent({ action: 'a', details })
  const typical = Array.from({ length: 500 }, (_, index) => convertEvent(createEvent(index)))
  return ({ smoke }) => ({
    kilobyteUs: timeUs(smoke ? 10 : 20_000, () => redactEvent(withDetails)) / kilobytes,
    eventUs: timeUs(smoke ? 1 : 100, () => typical.forEach(redactEvent)) / typical.length,
  })
}

/** The text that costs most for each character, of all those made to be slow. */
function ofHostileTexts({ smoke }: BenchOptions): Figures {
  const costs = [...hostileTexts(smoke ? 100 : 4_000)].map((text) => {
    return (timeUs(smoke ? 1 : 40, () => redactText(text)) * 1_000) / Buffer.byteLength(text)
  })
  return { kilobyteUs: Math.max(...costs) }
}

/** Microseconds of the thread's CPU for one run, of so many: what else the machine does counts less than with a clock. */
function timeUs(times: number, run: () => unknown): number {
  const start = process.threadCpuUsage()
  for (let time = 0; time < times; time++) run()
  const { user, system } = process.threadCpuUsage(start)
  return (user + system) / times
}

function readAims(rounds: Rounds): Aim[] {
  const against = (peer: string): number => medianRatio(rounds, 'kilobyteUs', ['default', peer])
  return [
    { what: 'preset `default` against `@pinojs/redact`', found: against('pino'), unit: '×', limit: 1, side: 'atMost' },
    {
      what: 'preset `default` against `JSON.stringify`',
      found: against('stringify'),
      unit: '×',
      limit: 3,
      side: 'atMost',
    },
    {
      what: 'a typical event, preset `default`',
      found: medianOf(rounds, 'default', 'eventUs'),
      unit: 'µs',
      limit: 1.5,
      side: 'atMost',
    },
    {
      what: 'the most hostile text against typical details, for each byte, every rule',
      ...{ found: medianRatio(rounds, 'kilobyteUs', ['hostile', 'strict']), unit: '×', limit: 3, side: 'atMost' },
    },
  ]
}

function mapValues<T, U>(values: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, map(value)]))
}

const whatIsCompared = [
  'All in one process, taking turns; CPU time of the thread. The details have about a kilobyte, three levels and nothing to hide, which is what redaction mostly sees.',
  "pino's redactors look at the paths that they were given and serialize the value themselves; ours looks at every key and every text, and serializing is another stage's.",
  'The typical event is that of `emit`: twelve members, some details.',
  `The hostile texts are those of the tests (beginnings without end, almost matches, four kilobytes each); the worst of them counts, and most of it is hidden, which costs passes that clean text does not need.`,
]
