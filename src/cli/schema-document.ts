/**
 * The schema document for compliance reviewers, as Markdown and as JSON Schema: the record, the control records, and
 * the actions of a catalogue when there is one. Made of the tables that the compiler holds to the code, so that it
 * cannot say what no record has. docs/audit-schema.md and docs/schema/record.json are its output without a catalogue.
 */

import type { JsonObject, JsonValue } from '../event/canonical.ts'
import type { ActionDefinition, Catalogue } from '../event/catalogue.ts'
import type { StandardSchemaV1 } from '../event/standard-schema.ts'
import { recordBytesMax } from '../limits.ts'
import { type ControlDocument, controlDocuments } from './schema-controls.ts'
import { memberDocuments, requiredMembers } from './schema-members.ts'

const dialect = 'https://json-schema.org/draft/2020-12/schema'

/** What `otel-audit schema --json` prints: a JSON Schema (draft 2020-12) of every record of a trail. */
export interface RecordSchema {
  readonly $schema: string
  readonly title: string
  readonly description: string
  readonly type: 'object'
  readonly properties: JsonObject
  readonly required: readonly string[]
  /** `details` of control records, and that `action` equals `event_type` there. */
  readonly allOf: readonly JsonObject[]
  /** By action: `changes`, `details` and `target` of its events as they are emitted. Nothing refers to them, because redaction and findings may make a record differ. */
  readonly $defs?: JsonObject
}

/** The JSON Schema of the record; the actions of a catalogue stand in `$defs`. */
export function recordSchema(catalogue?: Catalogue): RecordSchema {
  const properties = Object.entries(memberDocuments).map(([name, { meaning, schema }]) => {
    return [name, { description: meaning.replaceAll('`', ''), ...schema }] as const
  })
  return {
    $schema: dialect,
    title: 'otel-audit record, version 1',
    description: `A sealed record: one JSON object of at most ${recordBytesMax.toLocaleString('en-US')} bytes, canonical by RFC 8785. Readers ignore members that they do not know.`,
    type: 'object',
    properties: Object.fromEntries(properties),
    required: requiredMembers,
    allOf: Object.entries(controlDocuments).map(controlSchema),
    ...(catalogue === undefined
      ? {}
      : { $defs: Object.fromEntries(Object.entries(catalogue.actions).map(actionSchema)) }),
  }
}

/** The JSON Schema as text. */
export function printSchema(catalogue?: Catalogue): string {
  return `${JSON.stringify(recordSchema(catalogue), undefined, 2)}\n`
}

/** The same document in words. */
export function describeSchema(catalogue?: Catalogue): string {
  const version = catalogue === undefined ? '' : ' and the actions of this application'
  const sections = [
    '# Schema of the audit records',
    `This document says what stands in every record of the trail${version}. It is printed by \`otel-audit schema\`; with \`--format json-schema\` the same comes as JSON Schema.`,
    `A record is one JSON object of at most ${recordBytesMax.toLocaleString('en-US')} bytes, sealed into a hash chain when the event happened. Nothing changes it afterwards: every copy has the same bytes. Members that are not known are absent. The record format has version 1 and is frozen: a record can be read for as long as it is kept.`,
    '## Members of a record',
    `Every record has ${listOf(requiredMembers)}. The others are there when they are known.`,
    memberTable(),
    '## Control records',
    'The trail also says what happened to itself, in records of the same form. There `action` equals `event_type`, and `details` holds what the table says, as far as it applies.',
    controlTable(),
    `Reserved, and not yet written: ${listOf(reservedTypes())}.`,
    ...(catalogue === undefined ? [] : describeActions(catalogue)),
  ]
  return `${sections.join('\n\n')}\n`
}

function controlSchema([type, { meaning, details }]: readonly [string, ControlDocument]): JsonObject {
  const members = Object.entries(details).map(
    ([name, text]) => [name, { description: text.replaceAll('`', '') }] as const,
  )
  const held = { type: 'object', properties: Object.fromEntries(members) }
  return {
    if: { properties: { event_type: { const: type } }, required: ['event_type'] },
    // biome-ignore lint/suspicious/noThenProperty: a word of JSON Schema
    then: { description: meaning, properties: { action: { const: type }, details: held } },
  }
}

function actionSchema([action, definition]: readonly [string, ActionDefinition]): readonly [string, JsonObject] {
  const checked = checkedMembers(definition).map(([name, schema]) => [name, schemaOf(schema)] as const)
  const { description, version, operation } = definition
  const properties = {
    action: { const: action },
    schema: { const: `1;${action}=${version}` },
    ...Object.fromEntries(checked),
  }
  return [
    action,
    {
      title: `${action}, version ${version}`,
      description,
      type: 'object',
      properties,
      ...(operation === undefined ? {} : { 'x-operation': operation }),
    },
  ]
}

function describeActions({ actions, closed }: Catalogue): string[] {
  const count = Object.keys(actions).length
  const others = closed
    ? 'An event of any other action has the finding `schema:uncatalogued` in `validation`.'
    : 'Other actions may occur; nothing is said about their `details`.'
  return [
    '## Actions of this application',
    `${count === 1 ? '1 action is' : `${count} actions are`} catalogued. An event of one carries the version of its schema in \`schema\`, as \`1;ACTION=VERSION\`; what is not as the schema says stands in \`validation\`. ${others}`,
    ...Object.entries(actions).flatMap(describeAction),
  ]
}

function describeAction([action, definition]: readonly [string, ActionDefinition]): string[] {
  const { description, operation, version, defaults, upcast } = definition
  const facts = [
    `- version: ${version}`,
    ...(operation === undefined ? [] : [`- operation: \`${operation}\``]),
    ...(defaults === undefined ? [] : [`- unless the event says otherwise: \`${JSON.stringify(defaults)}\``]),
    ...(upcast === undefined
      ? []
      : [`- older versions that readers can bring up to date: ${Object.keys(upcast).join(', ')}`]),
  ]
  const members = checkedMembers(definition).flatMap(([name, schema]) => {
    const json = jsonSchemaOf(schema)
    if (json === undefined) return [`\`${name}\` is ${validatedBy(schema)}.`]
    return [`\`${name}\`, as JSON Schema:`, `\`\`\`json\n${JSON.stringify(json, undefined, 2)}\n\`\`\``]
  })
  return [`### \`${action}\``, escapeText(description), facts.join('\n'), ...members]
}

function checkedMembers({ changes, details, target }: ActionDefinition): (readonly [string, StandardSchemaV1])[] {
  const members = { details, changes, target }
  return Object.entries(members).flatMap(([name, schema]) => (schema === undefined ? [] : [[name, schema] as const]))
}

function schemaOf(schema: StandardSchemaV1): JsonObject {
  return jsonSchemaOf(schema) ?? { type: 'object', $comment: validatedBy(schema) }
}

function validatedBy(schema: StandardSchemaV1): string {
  return `validated by ${schema['~standard'].vendor}, which gives no JSON Schema of it`
}

/** The schema in its own library's words, where that has any: Standard JSON Schema. */
function jsonSchemaOf(schema: StandardSchemaV1): JsonObject | undefined {
  try {
    const given: unknown = schema['~standard'].jsonSchema?.input({ target: 'draft-2020-12' })
    if (typeof given !== 'object' || given === null) return undefined
    const { $schema: _dialect, ...rest } = JSON.parse(JSON.stringify(given)) as Record<string, JsonValue>
    return rest
  } catch {
    return undefined // it has something that JSON Schema cannot say
  }
}

function memberTable(): string {
  const rows = Object.entries(memberDocuments).map(([name, { form, meaning }]) => [`\`${name}\``, form, meaning])
  return table(['member', 'form', 'meaning'], rows)
}

function controlTable(): string {
  const rows = Object.entries(controlDocuments)
    .filter(([, { isReserved }]) => isReserved === undefined)
    .map(([type, { meaning, details }]) => {
      const members = Object.entries(details).map(([name, text]) => `\`${name}\`: ${text}`)
      return [`\`${type}\``, meaning, members.length === 0 ? 'nothing' : members.join(' · ')]
    })
  return table(['`event_type`', 'meaning', '`details`'], rows)
}

function reservedTypes(): string[] {
  return Object.entries(controlDocuments).flatMap(([type, { isReserved }]) => (isReserved ? [type] : []))
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function listOf(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ')
}

/** A description comes from a program: no line of it may become a heading. */
function escapeText(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
