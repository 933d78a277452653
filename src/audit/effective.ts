/**
 * The configuration in force, for people and programs to read: each setting with its value, its unit and where it came
 * from. Secrets are masked here, once, so that whatever prints these rows cannot print a secret.
 */

import { hasSecretName } from './problem.ts'
import type { ConfigReading } from './read-config.ts'
import { type Setting, settings } from './settings.ts'
import { namesOf } from './variables.ts'

/** One setting as it is in force. */
export interface EffectiveSetting {
  /** `spool.bytesMax` */
  readonly setting: string
  /** Names in the environment, the canonical one first; none for what only code can set. */
  readonly variables: readonly string[]
  /** Masked where it is or holds a secret; absent where nothing is set. */
  readonly value?: unknown
  readonly unit?: string
  /** `option`, the name of a variable, the path of the configuration file, `profile NAME` or `default`. */
  readonly source: string
}

/** Every setting of a configuration that could be read. */
export function effectiveSettings({ config, given }: ConfigReading): EffectiveSetting[] {
  return settings.map((setting) => {
    const value = config?.values.get(setting.path)
    const source = given.get(setting.path)?.source
    return {
      setting: setting.path,
      variables: setting.note.isCodeOnly === true ? [] : namesOf(setting.path),
      ...(value === undefined ? {} : { value: maskSetting(setting, value) }),
      ...(setting.note.unit === undefined ? {} : { unit: setting.note.unit }),
      source: source === undefined ? 'default' : describeSource(source),
    }
  })
}

type Source = NonNullable<ReturnType<ConfigReading['given']['get']>>['source']

function describeSource(source: Source): string {
  switch (source.kind) {
    case 'environment':
      return source.name
    case 'file':
      return source.file
    case 'profile':
      return `profile ${source.profile}`
    default:
      return source.kind
  }
}

const masked = '(not shown)'

function maskSetting({ form, note }: Setting, value: unknown): unknown {
  if (note.isCodeOnly === true) return '(given in code)'
  return note.isSecret === true && form === 'text' ? masked : mask(value, '')
}

/** Everything below a name that names a secret; of a URL only the server stays. */
function mask(value: unknown, name: string): unknown {
  if (Array.isArray(value) && !hasSecretName(name)) return value.map((one) => mask(one, ''))
  if (typeof value === 'object' && value !== null && !(value instanceof URL) && !hasSecretName(name)) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, mask(member, key)]))
  }
  if (/^(url|endpoint|address)$/i.test(name)) return maskUrl(String(value))
  return hasSecretName(name) ? masked : value instanceof URL ? String(value) : value
}

/** User, password, path and query of a URL can all be secrets. */
function maskUrl(text: string): string {
  if (!URL.canParse(text)) return masked
  const { protocol, host } = new URL(text)
  return host === '' ? masked : `${protocol}//${host}/…`
}
