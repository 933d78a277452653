/**
 * A trap in a collector's configuration that loses records, as a rule: which component, which setting, when it is one,
 * why it loses, what to set. Rules are data and pure functions; docs/collector.md lists each. What they say of the
 * collector was measured with, or read in the source of, 0.161.
 */

import type { CollectorFile, Component, ComponentKind, LogPipeline } from './file.ts'

/**
 * `loss`: this component acknowledges or drops by itself. `risk`: nothing is lost as long as every sender repeats what
 * was refused, as otel-audit does. `note`: no setting mends it, or nothing is lost by it.
 */
export type TrapEffect = 'loss' | 'risk' | 'note'

export interface TrapRule {
  readonly id: string
  readonly kind: ComponentKind
  /** Component types it is about; absent: every one of its kind. */
  readonly types?: readonly string[]
  readonly setting: string
  /** What holds when it is not set. */
  readonly unset: string
  readonly why: string
  readonly remedy: string
  /** Whether the component has the trap where it stands, and how bad that is. */
  judge(component: Component, place: Place): TrapEffect | undefined
}

/** Where a component stands. */
export interface Place {
  readonly file: CollectorFile
  readonly pipeline: LogPipeline
}

/** Exporters that have no queue to be switched off. */
export const withoutQueue: readonly string[] = ['file', 'debug', 'nop']

export function queueIsOn(one: Component): boolean {
  const hasQueue = one.kind === 'exporters' && !withoutQueue.includes(one.type)
  return hasQueue && one.read('sending_queue.enabled') !== false
}

/** It acknowledges before the backend has answered. */
export function answersEarly(one: Component): boolean {
  return queueIsOn(one) && one.read('sending_queue.wait_for_result') !== true
}

export function isZero(value: unknown): boolean {
  return value === 0 || (typeof value === 'string' && /^0+(?:\.0+)?[a-zµ]*$/.test(value))
}

export function when(holds: boolean, effect: TrapEffect): TrapEffect | undefined {
  return holds ? effect : undefined
}

/** Loss where someone before the exporter does not repeat: a receiver of another kind, or a processor in between. */
export function ifNobodyRepeats({ pipeline }: Place): TrapEffect {
  const forgets = ({ kind, type }: Component) =>
    (kind === 'receivers' && type !== 'otlp') || (kind === 'processors' && type === 'batch')
  return pipeline.components.some(forgets) ? 'loss' : 'risk'
}
