/**
 * Past records under another policy: what it would have recorded, what not, by which rule, with a few examples of each.
 * Asks the policy for every event it is given and keeps only counts and examples. Records of the trail about itself are
 * no events; of them, `audit.suppressed` tells how many events no replay can bring back.
 */

import type { JsonObject, JsonValue } from '../event/canonical.ts'
import { convertEvent } from '../event/convert.ts'
import { factsOf, readFacts } from '../event/facts.ts'
import type { Decision, Policy } from '../policy/policy.ts'

/** What `policy test --json` prints. */
export interface PolicyTest {
  readonly sources: readonly { readonly name: string; readonly kind: string; readonly events: number }[]
  /** Events that were replayed, and when the first and the last of them happened. */
  readonly events: number
  readonly from: string | null
  readonly to: string | null
  /** How many of them the policy would record (as metadata included), and how many not. */
  readonly recorded: number
  readonly suppressed: number
  /** What decided, most events first. */
  readonly rules: readonly PolicyTestRule[]
  /** Exclusions and rules of the policy that decided about no event. */
  readonly unused: readonly string[]
  /** Events that were not recorded in the past, by the trail's own account. They cannot be replayed. */
  readonly suppressedBefore: number
  /** Places in the sources that hold no record. */
  readonly unreadable: number
  readonly notes: readonly string[]
}

export interface PolicyTestRule {
  /** As in receipts and counts: `rule:ID`, `level:writes_only`. Null: no rule had anything to say. */
  readonly rule: string | null
  /** `metadata`: recorded without `details` and `changes`. */
  readonly result: 'recorded' | 'metadata' | 'suppressed'
  readonly events: number
  readonly examples: readonly PolicyTestExample[]
}

/** An event that was replayed: members of its record, as they stand there. */
export interface PolicyTestExample {
  readonly stream: string
  readonly seq: number
  readonly timestamp: string
  readonly action: string
  readonly operation?: string
  readonly outcome?: string
  readonly actor?: JsonObject
  readonly target?: JsonObject
  readonly tenant?: string
}

export interface ReplayOptions {
  readonly policy: Policy
  /** Most examples of each rule. */
  readonly examplesMax: number
  /** Only events that happened in [since, until); nine fractional digits, `Z`. */
  readonly since?: string | undefined
  readonly until?: string | undefined
}

const exampleMembers = [
  'stream',
  'seq',
  'timestamp',
  'action',
  'operation',
  'outcome',
  'actor',
  'target',
  'tenant',
] as const satisfies readonly (keyof PolicyTestExample)[]

interface Tally {
  readonly rule: string | null
  readonly result: PolicyTestRule['result']
  events: number
  readonly examples: PolicyTestExample[]
}

export class Replay {
  readonly #options: ReplayOptions
  readonly #tallies = new Map<string, Tally>()
  #events = 0
  #suppressed = 0
  #suppressedBefore = 0
  #unreadable = 0
  #from: string | undefined
  #to: string | undefined

  constructor(options: ReplayOptions) {
    this.#options = options
  }

  /** Events replayed so far. */
  get events(): number {
    return this.#events
  }

  /** The bytes of a record, or of what should be one. */
  add(bytes: Uint8Array): void {
    const record = parseRecord(bytes)
    if (record === undefined) this.addUnreadable()
    else if (!this.#isInPeriod(record)) return
    else if (record.event_type === 'audit') this.#replay(record)
    else this.#suppressedBefore += countSuppressed(record)
  }

  addUnreadable(): void {
    this.#unreadable += 1
  }

  report(about: Pick<PolicyTest, 'sources' | 'notes'>, rules: readonly string[]): PolicyTest {
    const tallies = [...this.#tallies.values()].sort((one, other) => other.events - one.events)
    const decided = new Set(tallies.map(({ rule }) => rule))
    return {
      ...about,
      events: this.#events,
      from: this.#from ?? null,
      to: this.#to ?? null,
      recorded: this.#events - this.#suppressed,
      suppressed: this.#suppressed,
      rules: tallies,
      unused: rules.filter((rule) => !decided.has(rule)),
      suppressedBefore: this.#suppressedBefore,
      unreadable: this.#unreadable,
    }
  }

  #isInPeriod({ timestamp }: JsonObject): boolean {
    const { since = '', until } = this.#options
    return typeof timestamp === 'string' && timestamp >= since && (until === undefined || timestamp < until)
  }

  #replay(record: JsonObject): void {
    const facts = readFacts(record) ?? factsOf(convertEvent(record))
    const decision = this.#options.policy.decide(facts, () => String(record.correlation_id ?? ''))
    this.#events += 1
    if (!decision.kept) this.#suppressed += 1
    const timestamp = String(record.timestamp)
    if (this.#from === undefined || timestamp < this.#from) this.#from = timestamp
    if (this.#to === undefined || timestamp > this.#to) this.#to = timestamp
    const tally = this.#tally(decision)
    tally.events += 1
    if (tally.examples.length < this.#options.examplesMax) tally.examples.push(exampleOf(record))
  }

  #tally(decision: Decision): Tally {
    const result = decision.kept ? (decision.isMetadata ? 'metadata' : 'recorded') : 'suppressed'
    const { rule = null } = decision
    const key = `${result} ${rule}`
    const tally = this.#tallies.get(key) ?? { rule, result, events: 0, examples: [] }
    this.#tallies.set(key, tally)
    return tally
  }
}

function parseRecord(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value: JsonValue = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
    const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isRecord && typeof value.event_type === 'string' ? value : undefined
  } catch {
    return undefined // counted: what is wrong with it is the matter of `verify`
  }
}

/** How many events the writer had not recorded, as this record of its account says. */
function countSuppressed({ event_type, details }: JsonObject): number {
  if (event_type === 'audit.suppressed') return sumCounts(details)
  return event_type === 'audit.stream.opened' && isObject(details) ? sumCounts(details.suppressed) : 0
}

function sumCounts(window: JsonValue | undefined): number {
  if (!isObject(window) || !Array.isArray(window.rules)) return 0
  return window.rules.reduce<number>((sum, rule) => {
    return isObject(rule) && typeof rule.count === 'number' ? sum + rule.count : sum
  }, 0)
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function exampleOf(record: JsonObject): PolicyTestExample {
  const members = exampleMembers.flatMap((name) => (record[name] === undefined ? [] : [[name, record[name]] as const]))
  return Object.fromEntries(members) as unknown as PolicyTestExample // as far as the source holds what we sealed
}
