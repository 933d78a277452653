/** The daemon's own settings: a JSON file, read at start and again at SIGHUP. Some hold at once, some from a restart on. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'

export const severities = ['INFO', 'WARNING', 'CRITICAL'] as const
export type Severity = (typeof severities)[number]

const settingsSchema = z.strictObject({
  model: z.string().min(1),
  min_severity: z.enum(severities),
  cycle_ms: z.int().min(0).max(60_000),
  provider_url: z.url(),
  programs: z.string().min(1),
  listen_port: z.int().min(0).max(65_535),
})

export type Settings = Readonly<z.infer<typeof settingsSchema>>

const reloadable: readonly (keyof Settings)[] = ['model', 'min_severity', 'cycle_ms']

/** What came of reading the settings again. */
export interface SettingsChange {
  /** What is in force now: the new value where it can be, else the old one. */
  readonly settings: Settings
  readonly changedFields: readonly string[]
  readonly applied: readonly string[]
  readonly restartRequired: readonly string[]
}

/** Throws when the file cannot be read or a setting in it is wrong. */
export function readSettings(path: string): Settings {
  return settingsSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
}

export function applySettings(inForce: Settings, wanted: Settings): SettingsChange {
  const names = Object.keys(settingsSchema.shape) as (keyof Settings)[]
  const changedFields = names.filter((name) => inForce[name] !== wanted[name])
  const applied = changedFields.filter((name) => reloadable.includes(name))
  const restartRequired = changedFields.filter((name) => !reloadable.includes(name))
  const { model, min_severity, cycle_ms } = wanted
  return { settings: { ...inForce, model, min_severity, cycle_ms }, changedFields, applied, restartRequired }
}

/** Tells settings from others without saying what they are. */
export function digestOf(settings: Settings): string {
  return createHash('sha256').update(JSON.stringify(settings)).digest('hex')
}
