/** docs/schema/config.json: the JSON Schema of the configuration file, for editors. */

import { z } from 'zod'
import { optionsSchema } from '../../../src/audit/schema.ts'
import { type Setting, settings } from '../../../src/audit/settings.ts'
import { canonicalName } from '../../../src/audit/variables.ts'

type JsonSchema = z.core.JSONSchema.JSONSchema

const settingOf = new Map<unknown, Setting>(settings.map((setting) => [setting.schema, setting]))

export function configSchema(): string {
  const made = z.toJSONSchema(optionsSchema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
      // An object of a class is `{}` here, which would allow anything.
      if (jsonSchema.anyOf) jsonSchema.anyOf = jsonSchema.anyOf.filter((one) => Object.keys(one).length > 0)
      const setting = settingOf.get(zodSchema)
      if (setting !== undefined) jsonSchema.description = describe(setting)
    },
  })
  for (const { path, note } of settings) if (note.isCodeOnly === true) leaveOut(made, path.split('.'))
  const { $schema, properties, ...others } = made
  return `${JSON.stringify(
    {
      $schema,
      title: 'Configuration of otel-audit',
      description: 'The JSON file that AUDIT_CONFIG_FILE names. What code and environment set counts for more.',
      ...others,
      properties: { $schema: { type: 'string', description: 'where an editor finds this schema' }, ...properties },
    },
    null,
    2,
  )}\n`
}

/** What a program makes cannot be written in a file. */
function leaveOut(schema: JsonSchema, [name = '', ...below]: readonly string[]): void {
  const member = schema.properties?.[name]
  if (below.length === 0) delete schema.properties?.[name]
  else if (typeof member === 'object') leaveOut(member, below)
}

function describe({ path, note }: Setting): string {
  const unit = note.unit === undefined ? '' : ` (${note.unit})`
  const otherwise = note.otherwise === undefined ? '' : ` Default: ${plain(note.otherwise)}.`
  return `${plain(note.about)}${unit}.${otherwise} In the environment: ${canonicalName(path)}`
}

/** Without Markdown. */
function plain(text: string): string {
  return text.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '')
}
