/**
 * The contenders of `policy`: each takes one event after the other and answers whether it is recorded. Events are made
 * beforehand, because what they cost is the application's; no two in a row are equal.
 */

import { join } from 'node:path'
import { convertEvent } from '../../src/event/convert.ts'
import type { AuditEvent, Operation } from '../../src/event/event.ts'
import { type EventFacts, factsOf, readFacts } from '../../src/event/facts.ts'
import { createAudit } from '../../src/index.ts'
import { compilePolicy } from '../../src/policy/policy.ts'
import type { PolicyOptions } from '../../src/policy/policy-options.ts'
import type { PolicyRule } from '../../src/policy/rules.ts'
import { createEvent } from './event.ts'
import type { Figures } from './figures.ts'

export interface JudgeSetup {
  /** An empty directory of its own. */
  readonly directory: string
}

export interface Judge {
  /** Of the events that it is given. */
  readonly operation: Operation
  /** Whether the event is recorded. */
  isKept(event: AuditEvent, index: number): boolean
  /** Whether all of them must be; absent: some are. */
  readonly isKeeping?: boolean
  close(): Promise<void>
}

const closesNothing = (): Promise<void> => Promise.resolve()
const sampleSecret = 'a secret of the benchmarks'

export const judges: Readonly<Record<string, (setup: JudgeSetup) => Judge>> = {
  idle: () => ({
    operation: 'read',
    isKept: ({ operation }) => operation !== 'read',
    isKeeping: false,
    close: closesNothing,
  }),
  'emit-suppressed': createEmittingJudge,
  'look-suppressed': () => judgeBy({ level: 'writes_only' }, { operation: 'read', isKeeping: false }),
  'convert-suppressed': () => {
    const policy = compilePolicy({ level: 'writes_only' })
    const isKept = (event: AuditEvent) => policy.decide(factsOf(convertEvent(event)), noCorrelation).kept
    return { operation: 'read', isKept, isKeeping: false, close: closesNothing }
  },
  'kept-none': () => judgeBy({ level: 'all' }, { operation: 'update', isKeeping: true }),
  'kept-100': () => judgeBy({ level: 'all', rules: createRules(100) }, { operation: 'update', isKeeping: true }),
  'kept-10000': () => judgeBy({ level: 'all', rules: createRules(10_000) }, { operation: 'update', isKeeping: true }),
  sampled: () => judgeBy({ level: 'all', sampleRate: 0.5, sampleSecret }, { operation: 'update' }),
}

/** Rules of every kind, none of which matches an event of the benchmark. */
function createRules(count: number): PolicyRule[] {
  return Array.from({ length: count }, (_, index): PolicyRule => {
    const when = [
      { action: `metrics.${index}` },
      { action: `health_${index % 100}*`, operation: 'read' as const },
      { tenant: `customer-${index}`, outcome: 'success' as const },
      { actor: [`crawler-${index}`, `probe-${index}`], operation: 'update' as const },
      { target: `cache-${index}`, actorType: 'user' as const },
    ][index % 5]
    return { id: `rule-${index}`, effect: index % 2 === 0 ? 'drop' : 'metadata', when }
  })
}

function judgeBy(options: PolicyOptions, of: Pick<Judge, 'operation' | 'isKeeping'>): Judge {
  const policy = compilePolicy(options)
  return {
    ...of,
    // Each event has a trace of its own: no draw is remembered.
    isKept: (event, index) => policy.decide(factsByLook(event), () => `0af7651916cd43dd8448${index}`).kept,
    close: closesNothing,
  }
}

function factsByLook(event: AuditEvent): EventFacts {
  const facts = readFacts(event)
  if (facts === undefined) throw new Error('the events of the benchmark are for the cheap look')
  return facts
}

const noCorrelation = (): string => {
  throw new Error('nothing is drawn')
}

/** The whole `audit.emit`. */
function createEmittingJudge({ directory }: JudgeSetup): Judge {
  const audit = createAudit({
    service: 'bench',
    policy: { level: 'writes_only' },
    spool: { directory: join(directory, 'spool') },
    keys: { signingKeyFile: join(directory, 'bench.key') },
  })
  const isKept = (event: AuditEvent) => audit.emit(event).status !== 'suppressed'
  return { operation: 'read', isKept, isKeeping: false, close: () => audit.close() }
}

const eventsMade = 4_096
/** So few that the garbage collector seldom runs among them. */
const eventsWeighed = 512

/** Time and memory for each of so many events. Throws when the judge decides otherwise than it should. */
export function measureJudge(judge: Judge, count: number): Figures {
  const { operation, isKeeping } = judge
  const events = Array.from({ length: eventsMade }, (_, index) => ({ ...createEvent(index), operation }))
  const heapBefore = process.memoryUsage().heapUsed
  judgeEvents(judge, events, eventsWeighed)
  const heapBytes = (process.memoryUsage().heapUsed - heapBefore) / eventsWeighed
  const startMs = performance.now()
  const kept = judgeEvents(judge, events, count)
  const eventUs = ((performance.now() - startMs) * 1_000) / count
  const isRight = isKeeping === undefined ? kept > 0 && kept < count : kept === (isKeeping ? count : 0)
  if (!isRight) throw new Error(`${kept} of ${count} events were kept`)
  return { eventUs, heapBytes: Math.max(0, heapBytes) } // less than nothing: the collector ran meanwhile
}

function judgeEvents(judge: Judge, events: readonly AuditEvent[], count: number): number {
  let kept = 0
  for (let index = 0; index < count; index += 1) {
    const event = events[index % events.length]
    if (event !== undefined && judge.isKept(event, index)) kept += 1
  }
  return kept
}
