/** docs/destinations.md against the code: every type and option, every example, the table's DDL, the receiver. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { destinationSchema } from '../../src/audit/destination-schema.ts'
import { createTable } from '../../src/clickhouse/table.ts'
import { createHttpDestination } from '../../src/destination/http.ts'
import { bodyFormats } from '../../src/destination/http-format.ts'
import { batchOf } from '../destination/records.ts'
import { fencesOf, quotedIn, readDocument, root, tableOf } from './markdown.ts'

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

/** The section of a type, up to the next. */
function sectionOf(type: string): string {
  const [, after = ''] = document.split(`\n## ${type}\n`)
  return after.split('\n## ')[0] ?? ''
}

for (const { type, own } of declared) {
  it(`every option of ${type} is documented, and no other`, () => {
    if (own.length === 0) return
    const rows = tableOf(sectionOf(type), 'option', 'default', 'meaning')
    assert.deepEqual(rows.flatMap(([option = '']) => quotedIn(option)).toSorted(), own.toSorted())
  })

  it(`the example of ${type} is accepted`, () => {
    const examples = fencesOf(sectionOf(type)).filter(({ language }) => language === 'json')
    assert.ok(examples.length > 0)
    for (const { text } of examples) {
      const parsed = destinationSchema.safeParse(JSON.parse(text))
      assert.deepEqual([parsed.error?.issues, parsed.data?.type], [undefined, type])
    }
  })
}

it('every type has a section, says when a record counts as delivered, and there is no other', () => {
  const types = declared.map(({ type }) => type).toSorted()
  const sections = [...document.matchAll(/^## (\S+)$/gm)].map(([, name = '']) => name)
  assert.deepEqual(sections.toSorted(), types)
  const promises = tableOf(document, 'type', 'a record counts as delivered when').map(
    ([type = '']) => quotedIn(type)[0],
  )
  assert.deepEqual(promises.toSorted(), types)
})

it('every format of http is explained', () => {
  const formats = tableOf(document, '`format`', 'body').map(([format = '']) => quotedIn(format)[0])
  assert.deepEqual(formats.toSorted(), Object.keys(bodyFormats).toSorted())
})

it('the table of ClickHouse is the one that is made', () => {
  const [ddl] = fencesOf(document).filter(({ language }) => language === 'sql')
  assert.equal(ddl?.text, `${createTable('audit_record')}\n`)
})

it('the receiver takes what is signed, and nothing else', async (t) => {
  const [receiver] = fencesOf(document).filter(({ marker }) => marker === 'run: receiver')
  const index = pathToFileURL(join(root, 'src/index.ts')).href
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-receiver-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'receiver.ts')
  writeFileSync(path, receiver?.text.replace("'otel-audit'", `'${index}'`) ?? '')
  t.mock.method(console, 'log', () => {})
  const { server } = (await import(pathToFileURL(path).href)) as { server: Server }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const endpoint = `http://127.0.0.1:${address.port}`
  const send = async (secret: string) => {
    const destination = createHttpDestination({ type: 'http', endpoint, secret })
    t.after(() => destination.close())
    return destination.send(batchOf(1, 2), t.signal)
  }
  assert.deepEqual(await send('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'), { status: 'delivered' })
  const refused = await send(`whsec_${Buffer.alloc(32).toString('base64')}`)
  assert.deepEqual([refused.status, 'reason' in refused && refused.reason], ['retry', 'HTTP 401: bad_signature'])
})
