/** docs/schema/config.json, as an editor uses it: it accepts and refuses what a start accepts and refuses. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Schema, Validator } from '@cfworker/json-schema'
import { readEnvironment } from '../../src/audit/environment.ts'
import { jsonSchemaOf, nest, settings } from '../../src/audit/settings.ts'
import { canonicalName } from '../../src/audit/variables.ts'
import { readDocument } from './markdown.ts'

const schema = JSON.parse(readDocument('docs/schema/config.json')) as Schema & { readonly $schema: string }
const validator = new Validator(schema, '2020-12')
const inFile = settings.filter(({ note }) => note.isCodeOnly !== true)

const accepts = (options: object): boolean => validator.validate(options).valid

test('it accepts the example of every setting', () => {
  for (const { path, note } of inFile) {
    const value = readEnvironment({ [canonicalName(path)]: note.example }).options.get(path)?.value
    assert.ok(accepts(nest([[path, value]])), path)
  }
})

test('it refuses null and what is out of range, for every setting', () => {
  for (const { path, schema: own } of inFile) {
    const { minimum, maximum = Number.MAX_SAFE_INTEGER } = jsonSchemaOf(own)
    const outside = [
      ...(minimum === undefined ? [] : [minimum - 1]),
      ...(maximum === Number.MAX_SAFE_INTEGER ? [] : [maximum + 1]),
    ]
    for (const value of [null, ...outside]) assert.ok(!accepts(nest([[path, value]])), `${path}: ${value}`)
  }
})

test('it refuses an option that does not exist, at every depth', () => {
  assert.ok(!accepts({ servise: 'x' }))
  const sections = new Set(inFile.filter(({ path }) => path.includes('.')).map(({ path }) => path.split('.')[0] ?? ''))
  for (const section of sections) assert.ok(!accepts({ [section]: { colour: 'red' } }), section)
  assert.ok(!accepts({ destinations: [{ type: 'stdout', colour: 'red' }] }))
  assert.ok(!accepts({ destinations: [{ type: 'carrier-pigeon' }] }))
})

test('it has no place for what only a program can make, and one for its own name', () => {
  assert.ok(!accepts({ metrics: { registry: {} } }))
  assert.ok(accepts({ $schema: './node_modules/otel-audit/docs/schema/config.json' }))
})

test('every setting has a description, which names its variable', () => {
  for (const { path } of inFile) {
    const property = path
      .split('.')
      .reduce<Schema | undefined>((at, name) => at?.properties?.[name] as Schema | undefined, schema)
    assert.ok(String(property?.description).includes(canonicalName(path)), path)
  }
})
