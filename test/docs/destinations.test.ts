/** docs/destinations.md against the code: every type has a section, every option a row, and no other. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { z } from 'zod'
import { destinationSchema } from '../../src/audit/destination-schema.ts'
import { quotedIn, readDocument, tableOf } from './markdown.ts'

const document = readDocument('docs/destinations.md')
const common = ['type', 'name', 'flushIntervalMs', 'batchRecordsMax', 'batchBytesMax', 'fallback']

/** Dotted names of an object's members. */
function membersOf(schema: z.ZodObject): string[] {
  return Object.entries(schema.shape).flatMap(([name, member]) => {
    const inner = member instanceof z.ZodOptional ? member.unwrap() : member
    return inner instanceof z.ZodObject ? membersOf(inner).map((below) => `${name}.${below}`) : [name]
  })
}

const declared = destinationSchema.options.map((schema) => {
  assert.ok(schema instanceof z.ZodObject)
  const { type } = schema.shape
  assert.ok(type instanceof z.ZodLiteral)
  return { type: String(type.value), own: membersOf(schema).filter((name) => !common.includes(name)) }
})

it('every option of a destination is documented, and no other', () => {
  const rows = tableOf(document, 'type', 'option', 'default', 'meaning')
  for (const { type, own } of declared) {
    const documented = rows.filter(([name]) => name === `\`${type}\``).flatMap(([, option = '']) => quotedIn(option))
    assert.deepEqual(documented.toSorted(), own.toSorted(), type)
  }
})

it('every type is documented, and no other', () => {
  const rows = tableOf(document, 'type', 'option', 'default', 'meaning').map(([type = '']) => quotedIn(type)[0])
  assert.deepEqual([...new Set(rows)].toSorted(), declared.map(({ type }) => type).toSorted())
})
