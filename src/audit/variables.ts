/**
 * The one table of environment variables: the canonical name of every option (`AUDIT_` and its path), the names that
 * users know for some of them, and what only the environment has. Reading, the warning about unknown names, documents
 * and .env.example all follow it.
 */

import { environmentSchema } from './environment-schema.ts'
import { type Setting, settings, settingsOf } from './settings.ts'

export interface Variable {
  readonly name: string
  /** What it sets. Of an alias, the setting that its name is another word for. */
  readonly setting: Setting
  readonly isAlias: boolean
}

/** Names that others gave to a setting before us. */
const aliases: Readonly<Record<string, string>> = {
  AUDIT_TRAIL_ENABLED: 'policy.enabled',
  AUDIT_LOG_ENABLED: 'policy.enabled',
  AUDIT_TRAIL_LEVEL: 'policy.level',
  AUDIT_TRAIL_EXCLUDE_ACTIONS: 'policy.excludeActions',
  AUDIT_TRAIL_EXCLUDE_RESOURCES: 'policy.excludeResources',
  AUDIT_TRAIL_SAMPLE_RATE: 'policy.sampleRate',
  AUDIT_TRAIL_SAMPLE_READS: 'policy.sampleReads',
  AUDIT_TRAIL_ASYNC: 'async',
  AUDIT_TRAIL_RETENTION_DAYS: 'retention.days',
  AUDIT_TRAIL_CLEANUP_ENABLED: 'retention.enabled',
  AUDIT_TRAIL_CLEANUP_BATCH_SIZE: 'retention.batchRows',
}

/** What only the environment has; the path of such a setting is its name. */
export const environmentSettings: readonly Setting[] = settingsOf(environmentSchema)

/** `AUDIT_` and the path in capitals: `AUDIT_SPOOL_BYTES_MAX`. */
export function canonicalName(path: string): string {
  return `AUDIT_${path.replaceAll('.', '_').replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_')}`.toUpperCase()
}

export const variables: readonly Variable[] = [
  ...settings
    .filter(({ note }) => note.isCodeOnly !== true)
    .map((setting) => ({ name: canonicalName(setting.path), setting, isAlias: false })),
  ...Object.entries(aliases).map(([name, path]) => ({ name, setting: settingOf(path), isAlias: true })),
  ...environmentSettings.map((setting) => ({ name: setting.path, setting, isAlias: false })),
]

/** Read by other parts of the library: a context handed to a child process, and the debugging of the command line. */
const readElsewhere = ['AUDIT_CORRELATION_ID']

/** Every name that means something, `NAME_FILE` of secrets included. */
export const knownNames: ReadonlySet<string> = new Set([
  ...readElsewhere,
  ...variables.flatMap(({ name, setting }) => (setting.note.isSecret === true ? [name, `${name}_FILE`] : [name])),
])

/** Every name of a setting, the canonical one first. */
export function namesOf(path: string): string[] {
  return variables.filter(({ setting }) => setting.path === path).map(({ name }) => name)
}

function settingOf(path: string): Setting {
  const setting = settings.find((one) => one.path === path)
  if (setting === undefined) throw new Error(`no setting ${path}`)
  return setting
}
