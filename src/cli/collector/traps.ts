/**
 * Holds a collector's configuration against every rule. Pure: text in, report out. A trap that the file (or whoever
 * asks) declares to be accepted, with a reason, is listed and does not count.
 */

import { backendRules, processorRules } from './backend-rules.ts'
import { type Allowance, type CollectorFile, type Component, type LogPipeline, readCollectorFile } from './file.ts'
import { queueRules, storageRules } from './queue-rules.ts'
import { noteRules, receiverRules } from './receiver-rules.ts'
import type { TrapEffect, TrapRule } from './rule.ts'

/** Every rule, in the order in which traps are reported. */
export const trapRules: readonly TrapRule[] = [
  ...receiverRules,
  ...processorRules,
  ...queueRules,
  ...backendRules,
  ...storageRules,
  ...noteRules,
]

export interface CollectorTrap {
  readonly id: string
  /** `loss`: records are lost. `risk`: only if a sender does not repeat. `note`: know it; it does not count. */
  readonly effect: TrapEffect
  /** `exporters.otlp_http/first` */
  readonly component: string
  /** `sending_queue.storage`; empty when it is the component itself. */
  readonly setting: string
  /** What is set there, as JSON; absent when nothing is, and `unset` holds. */
  readonly found?: string
  readonly unset?: string
  readonly line: number
  readonly pipelines: readonly string[]
  readonly why: string
  readonly remedy: string
}

export interface AllowedTrap extends CollectorTrap {
  readonly reason: string
}

/** What `doctor --collector --json` prints. */
export interface CollectorReport {
  readonly file: string
  /** 0 no trap, 1 traps. */
  readonly exitCode: 0 | 1
  /** The pipelines of logs that were judged. */
  readonly pipelines: readonly string[]
  readonly traps: readonly CollectorTrap[]
  readonly allowed: readonly AllowedTrap[]
  readonly notes: readonly CollectorTrap[]
  /** Lines that allow nothing: without a reason, or for a trap that is not there. */
  readonly idleAllowances: readonly number[]
}

export interface JudgeOptions {
  /** Ids of traps that are accepted, by whoever asks. */
  readonly allow?: readonly string[]
  /** For `${env:NAME}` in the file. */
  readonly env?: NodeJS.ProcessEnv
}

/** Judges the text of a configuration. Throws SOURCE_UNREADABLE for what cannot be judged. */
export function judgeCollector(
  name: string,
  text: string,
  { allow = [], env = {} }: JudgeOptions = {},
): CollectorReport {
  const file = readCollectorFile(text, env)
  const all = gather(file.pipelines.flatMap((pipeline) => trapsOf(file, pipeline)))
  const allowances = [
    ...file.allowances,
    ...allow.map((trap): Allowance => ({ trap, component: undefined, reason: 'given by --allow', line: 0 })),
  ]
  const isFor = (trap: CollectorTrap) => (one: Allowance) =>
    one.trap === trap.id && (one.component ?? trap.component) === trap.component
  const counted = all.filter(({ effect }) => effect !== 'note')
  const traps = counted.filter((trap) => !allowances.some(isFor(trap)))
  const allowed = counted.flatMap((trap) => {
    const allowance = allowances.find(isFor(trap))
    return allowance === undefined ? [] : [{ ...trap, reason: allowance.reason }]
  })
  const idle = file.allowances.filter((one) => !counted.some((trap) => isFor(trap)(one)))
  return {
    file: name,
    exitCode: traps.length === 0 ? 0 : 1,
    pipelines: file.pipelines.map((pipeline) => pipeline.name),
    traps,
    allowed,
    notes: all.filter(({ effect }) => effect === 'note'),
    idleAllowances: [...idle.map(({ line }) => line), ...file.brokenAllowances].sort((one, other) => one - other),
  }
}

function trapsOf(file: CollectorFile, pipeline: LogPipeline): CollectorTrap[] {
  const components = [...pipeline.components, ...storagesOf(file, pipeline)]
  return components.flatMap((component) =>
    trapRules.flatMap((rule) => {
      if (rule.kind !== component.kind || rule.types?.includes(component.type) === false) return []
      const effect = rule.judge(component, { file, pipeline })
      return effect === undefined ? [] : [trapOf(rule, component, { effect, pipeline: pipeline.name })]
    }),
  )
}

/** The storage that components of a pipeline use. */
function storagesOf(file: CollectorFile, { components }: LogPipeline): Component[] {
  const ids = components.flatMap((one) => [one.read('sending_queue.storage'), one.read('storage')])
  return [...new Set(ids)].flatMap((id) => (typeof id === 'string' ? (file.extension(id) ?? []) : []))
}

function trapOf(rule: TrapRule, component: Component, at: { effect: TrapEffect; pipeline: string }): CollectorTrap {
  const { id, setting, unset, why, remedy } = rule
  const found = setting === '' ? undefined : component.read(setting)
  return {
    id,
    effect: at.effect,
    component: `${component.kind}.${component.id}`,
    setting,
    ...(found === undefined ? (unset === '' ? {} : { unset }) : { found: JSON.stringify(found) }),
    line: component.lineOf(setting),
    pipelines: [at.pipeline],
    why,
    remedy,
  }
}

/** One trap of one component, although several pipelines use it; the worst effect counts. */
function gather(traps: readonly CollectorTrap[]): CollectorTrap[] {
  const gathered = new Map<string, CollectorTrap>()
  for (const trap of traps) {
    const key = `${trap.id} ${trap.component}`
    const known = gathered.get(key)
    const effect = known?.effect === 'loss' ? 'loss' : trap.effect
    gathered.set(key, { ...trap, effect, pipelines: [...(known?.pipelines ?? []), ...trap.pipelines] })
  }
  return [...gathered.values()]
}
