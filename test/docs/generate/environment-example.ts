/** `.env.example`: every variable with its meaning, its default and an example, all of them commented out. */

import { formatText } from '../../../src/audit/environment.ts'
import type { Setting } from '../../../src/audit/settings.ts'
import { type Variable, variables } from '../../../src/audit/variables.ts'

const head = `# Every variable of otel-audit, as createAuditFromEnv reads them; made by "npm run docs".
# All of them are commented out: a program starts without any. Lists are separated by commas. Booleans are
# true, 1, yes, on, or false, 0, no, off. A variable that is set and empty is refused. Secrets also come from a
# file: NAME_FILE=/run/secrets/name. More: docs/configuration.md
`

export function environmentExample(): string {
  const own = variables.filter(({ isAlias }) => !isAlias)
  return `${head}\n${own.map(describe).join('\n')}`
}

function describe({ name, setting }: Variable): string {
  const others = variables.filter((one) => one.isAlias && one.setting === setting).map((one) => one.name)
  const lines = [
    ...wrap(plain(`${setting.note.about}${setting.note.unit === undefined ? '' : ` (${setting.note.unit})`}`)),
    ...wrap(`Allowed: ${allowedOf(setting)}. Default: ${plain(defaultOf(setting))}.`),
    ...(others.length === 0 ? [] : wrap(`The same: ${others.join(', ')}`)),
  ]
  return `${lines.map((line) => `# ${line}\n`).join('')}# ${name}=${quote(setting.note.example)}\n`
}

function allowedOf({ allowed, form }: Setting): string {
  if (form === 'list') return `${allowed.replaceAll('"', '')}, separated by commas`
  return form === 'json' ? `${allowed} as JSON` : allowed.replaceAll('"', '')
}

function defaultOf({ note, byDefault }: Setting): string {
  const text = byDefault === undefined ? '' : formatText(byDefault)
  return note.otherwise ?? (text === '' || text === '{}' ? 'none' : text)
}

/** Without Markdown. */
function plain(text: string): string {
  return text.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '')
}

/** JSON has quotes of its own, and a shell reads what is not quoted. */
function quote(text: string): string {
  return /["{}*[\]]/.test(text) ? `'${text}'` : text
}

function wrap(text: string): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (line !== '' && line.length + word.length > 108) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines
}
