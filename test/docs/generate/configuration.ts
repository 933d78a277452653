/** The tables of docs/configuration.md. */

import { formatText } from '../../../src/audit/environment.ts'
import { type Setting, settings } from '../../../src/audit/settings.ts'
import { environmentSettings, namesOf } from '../../../src/audit/variables.ts'
import { table } from './blocks.ts'

/** Every option, its names in the environment, its default. */
export function optionsTable(): string {
  const rows = settings.map((setting) => [
    `\`${setting.path}\``,
    setting.note.isCodeOnly === true ? 'only in code' : namesInEnvironment(setting),
    ...describe(setting),
  ])
  return table(['option', 'environment', 'default', 'allowed', 'meaning'], rows)
}

/** What only the environment has. */
export function environmentTable(): string {
  const rows = environmentSettings.map((setting) => [namesInEnvironment(setting), ...describe(setting)])
  return table(['variable', 'default', 'allowed', 'meaning'], rows)
}

function namesInEnvironment({ path, note }: Setting): string {
  const names = namesOf(path).map((name) => `\`${name}\``)
  const hasFileSetting = [...settings, ...environmentSettings].some((one) =>
    [`${path}File`, `${path}_FILE`].includes(one.path),
  )
  return names.join(', ') + (note.isSecret === true && !hasFileSetting ? ', or `…_FILE`' : '')
}

function describe(setting: Setting): [byDefault: string, allowed: string, meaning: string] {
  const { note } = setting
  return [defaultOf(setting), allowedOf(setting), `${note.about}${note.isReloaded === true ? ' ↻' : ''}`]
}

function defaultOf({ note, byDefault }: Setting): string {
  if (note.otherwise !== undefined) return note.otherwise
  const text = byDefault === undefined ? '' : formatText(byDefault)
  return text === '' || text === '{}' ? 'none' : `\`${text}\``
}

function allowedOf({ note, allowed, form }: Setting): string {
  if (note.isCodeOnly === true) return ''
  if (allowed.includes('"')) return allowed.replace(/"([^"]*)"/g, '`$1`')
  if (form !== 'number' && form !== 'whole number') return form === 'json' ? 'JSON' : form
  return `${allowed.replace(/^a /, '')}${note.unit === undefined ? '' : ` ${note.unit}`}`
}
