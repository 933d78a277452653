/** The schema document: records of every kind are as it says, it says what the code has, and it lists a catalogue. */

import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Schema, Validator } from '@cfworker/json-schema'
import fc from 'fast-check'
import { controlDocuments } from '../../src/cli/schema-controls.ts'
import { describeSchema, recordSchema } from '../../src/cli/schema-document.ts'
import { memberDocuments } from '../../src/cli/schema-members.ts'
import { convertEvent } from '../../src/event/convert.ts'
import { type ControlType, encodeRecord, parseRecord } from '../../src/event/record.ts'
import type { Audit, AuditEvent, AuditOptions } from '../../src/index.ts'
import { freshFolder, openAudit, recordsIn } from '../audit/opened.ts'
import { quotedIn, readDocument, root, tableOf } from '../docs/markdown.ts'
import { hostileEvent } from '../event/arbitraries.ts'
import { position } from '../event/positions.ts'
import { runCli } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-schema-'))
after(() => rmSync(folder, { recursive: true }))
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))

const validator = new Validator(recordSchema() as unknown as Schema, '2020-12', false)

/** Fails with what the schema has against a record. */
function assertValid(record: unknown): void {
  const { valid, errors } = validator.validate(record)
  assert.ok(
    valid,
    JSON.stringify({ errors: errors.map(({ instanceLocation, error }) => `${instanceLocation} ${error}`), record }),
  )
}

/** A module in the folder that imports us from the sources. */
function moduleOf(name: string, text: string): string {
  const source = pathToFileURL(join(root, 'src/index.ts')).href
  const file = join(folder, name)
  writeFileSync(file, text.replace("'otel-audit'", `'${source}'`))
  return file
}

const catalogueModule = moduleOf(
  'actions.ts',
  `import { defineActions } from 'otel-audit'
import * as v from 'valibot'
import { z } from 'zod'
export const catalogue = defineActions({
  'invoice.delete': {
    version: 3, operation: 'delete', description: 'An invoice\\n# was deleted.', defaults: { tenant: 't' },
    details: z.object({ amount: z.number().min(0) }), upcast: { 2: (record) => record },
  },
  'invoice.read': { version: 1, description: 'Opened.', details: v.object({ page: v.number() }) },
  'invoice.list': { version: 1, description: 'Listed.', details: z.object({ when: z.date() }) },
}, { closed: true })
export const same = catalogue
`,
)

describe('the JSON Schema', () => {
  it('holds for the records of a trail that was opened, closed and opened again', async (t) => {
    const trail = freshFolder(t)
    const event = {
      action: 'invoice.delete',
      operation: 'delete',
      outcome: 'failure',
      actor: { type: 'user', id: 'u', roles: ['a'] },
      target: { resource_type: 'invoice', id: '1' },
      error: new TypeError('no'),
      request: { id: 'r', status: 500, route: '/:id' },
      changes: { state: { from: 1, to: 2 } },
      details: { password: 'hunter2', 7: 'seven' },
      trace: { id: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331', flags: 1 },
      attempts: 2,
      duration_ms: 1.5,
    }
    for (const level of ['all', 'writes_only'] as const) {
      const audit: Audit = openAudit(trail, { policy: { level }, resource: { 'cloud.region': 'x' } })
      audit.emit(event as AuditEvent)
      audit.emit({ action: 'invoice.read', operation: 'read' })
      await audit.reload({ policy: { level: 'deletes_only' } })
      await audit.reload({ policy: { level: 'none' } } as unknown as AuditOptions)
      await audit.close()
    }
    const records = recordsIn(trail)
    for (const record of records) assertValid(record)
    for (const { event_type, details = {} } of records.filter((record) => record.event_type !== 'audit')) {
      const documented = Object.keys(controlDocuments[event_type as ControlType].details)
      assert.deepEqual(
        Object.keys(details).filter((name) => !documented.includes(name)),
        [],
        event_type,
      )
    }
    const types = new Set(records.map(({ event_type }) => event_type))
    for (const type of [
      'audit',
      'audit.stream.opened',
      'audit.stream.closed',
      'audit.checkpoint',
      'audit.suppressed',
      'audit.policy.changed',
      'audit.policy.rejected',
    ]) {
      assert.ok(types.has(type), type)
    }
  })

  it('holds for the frozen example', () => {
    const lines = readFileSync(join(root, 'test/vectors/records/trail.ndjson'), 'utf8').trimEnd().split('\n')
    for (const line of lines) assertValid(JSON.parse(line))
  })

  it('holds for whatever an application emits', () => {
    fc.assert(
      fc.property(hostileEvent, (make) => assertValid(JSON.parse(encodeRecord(convertEvent(make()), position)))),
      { numRuns: 200 },
    )
  })

  it('refuses what is no record', () => {
    const record = JSON.parse(encodeRecord(convertEvent({ action: 'a' }), position)) as Record<string, unknown>
    assertValid(record)
    const wrong: readonly Record<string, unknown>[] = [
      { ...record, seq: 0 },
      { ...record, prev: 'abc' },
      { ...record, v: '2' },
      { ...record, recorded: '2026-11-22T09:30:00Z' },
      { ...record, schema: '2' },
      { ...record, outcome: 'fine' },
      { ...record, details: [] },
      { ...record, stream: undefined },
      { ...record, event_type: 'audit.gap' },
    ]
    for (const one of wrong) {
      assert.equal(validator.validate(JSON.parse(JSON.stringify(one))).valid, false, JSON.stringify(one))
    }
  })
})

describe('the tables', () => {
  it('have each member in the type that a reader takes it in', () => {
    const samples = { string: 'x', number: 1, integer: 1, object: {}, array: [] } as const
    for (const [name, { schema }] of Object.entries(memberDocuments)) {
      const type = (schema.type ?? 'string') as keyof typeof samples
      for (const [other, sample] of Object.entries(samples)) {
        const read = parseRecord(Buffer.from(JSON.stringify({ [name]: sample })))
        const isTaken = JSON.stringify(sample) === JSON.stringify(samples[type])
        assert.equal(Object.hasOwn(read ?? {}, name), isTaken, `${name} as ${other}`)
      }
    }
  })

  it('have the members that docs/formats.md has', () => {
    const formats = tableOf(readDocument('docs/formats.md'), 'member', 'form', 'meaning')
    const members = formats.flatMap(([names = '']) => quotedIn(names))
    assert.deepEqual(Object.keys(memberDocuments).toSorted(), members.toSorted())
  })

  it('call reserved what nothing writes, and nothing else', () => {
    const rooms = ['audit', 'destination', 'forward', 'spool', 'cli', 'postgres']
    const sources = rooms.map((room) => sourcesOf(room)).join('\n')
    for (const [type, { isReserved = false }] of Object.entries(controlDocuments)) {
      assert.equal(
        sources.includes(`type: '${type}'`),
        !isReserved,
        `${type}: ${isReserved ? 'written' : 'not written'}`,
      )
    }
  })
})

describe('otel-audit schema', () => {
  it('prints docs/audit-schema.md, and docs/schema/record.json', async () => {
    assert.deepEqual(await runCli(['schema']), {
      exitCode: 0,
      stdout: readDocument('docs/audit-schema.md'),
      stderr: '',
    })
    for (const argv of [['--json'], ['--format', 'json-schema'], ['--json', '--format=json-schema']]) {
      assert.equal((await runCli(['schema', ...argv])).stdout, readDocument('docs/schema/record.json'))
    }
  })

  it('lists the actions of a catalogue, in words', async () => {
    const { exitCode, stdout, stderr } = await runCli(['schema', '--catalogue', catalogueModule])
    assert.deepEqual([exitCode, stderr], [0, ''])
    const actions = stdout.slice(stdout.indexOf('## Actions of this application'))
    assert.match(actions, /^3 actions are catalogued.*schema:uncatalogued/m)
    assert.match(
      actions,
      /^### `invoice\.delete`\n\nAn invoice # was deleted\.\n\n- version: 3\n- operation: `delete`\n/m,
    )
    assert.match(actions, /- unless the event says otherwise: `\{"tenant":"t"\}`\n- older versions .*: 2\n/)
    assert.match(actions, /`details`, as JSON Schema:\n\n```json\n\{\n {2}"type": "object",/)
    assert.match(
      actions,
      /### `invoice\.read`[^#]*`details` is validated by valibot, which gives no JSON Schema of it\./,
    )
    assert.match(actions, /### `invoice\.list`[^#]*`details` is validated by zod, which gives no JSON Schema of it\./)
  })

  it('lists them as JSON Schema, which others can use', async () => {
    const { stdout } = await runCli(['schema', '--catalogue', catalogueModule, '--json'])
    const { $defs } = JSON.parse(stdout) as { $defs: Record<string, Schema> }
    assert.deepEqual(Object.keys($defs), ['invoice.delete', 'invoice.read', 'invoice.list'])
    const ofAction = new Validator($defs['invoice.delete'] ?? false, '2020-12')
    const event = { action: 'invoice.delete', schema: '1;invoice.delete=3', details: { amount: 1 } }
    assert.equal(ofAction.validate(event).valid, true)
    assert.equal(ofAction.validate({ ...event, details: { amount: -1 } }).valid, false)
    assert.equal(ofAction.validate({ ...event, schema: '1;invoice.delete=2' }).valid, false)
  })

  const rows: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['an unknown format', ['--format', 'pdf'], /--format is "pdf"\n {2}hint: allowed: markdown, json-schema/],
    ['two formats', ['--json', '--format=markdown'], /--format is "markdown" beside --json/],
    ['a file that is not there', ['--catalogue', './nowhere.ts'], /--catalogue: \.\/nowhere\.ts does not exist/],
    [
      'a package that is not there',
      ['--catalogue', 'no-such-package'],
      /no-such-package cannot be loaded: .*Cannot find module/,
    ],
    [
      'a module without a catalogue',
      ['--catalogue', moduleOf('none.ts', 'export const a = 1, b = 2')],
      /exports no catalogue; it exports a, b\n {2}hint: export one catalogue/,
    ],
    [
      'a module that exports nothing',
      ['--catalogue', moduleOf('empty.ts', '')],
      /exports no catalogue; it exports nothing/,
    ],
    [
      'a module that throws',
      ['--catalogue', moduleOf('throwing.ts', 'throw new Error("no database")')],
      /cannot be loaded: no database/,
    ],
    [
      'a module with a wrong definition',
      [
        '--catalogue',
        moduleOf(
          'wrong.ts',
          "import { defineActions } from 'otel-audit'\nexport const c = defineActions({ a: { version: 0, description: 'x' } })",
        ),
      ],
      /cannot be loaded: actions\["a"\]\.version is 0/,
    ],
    [
      'a module with two catalogues',
      [
        '--catalogue',
        moduleOf(
          'two.ts',
          "import { defineActions } from 'otel-audit'\nexport const a = defineActions({}), b = defineActions({})",
        ),
      ],
      /exports 2 catalogues/,
    ],
    ['an unknown option', ['--catalog', 'x'], /did you mean --catalogue\?/],
  ]
  for (const [name, argv, message] of rows) {
    it(`says what is wrong: ${name}`, async () => {
      const { exitCode, stdout, stderr } = await runCli(['schema', ...argv])
      assert.deepEqual([exitCode, stdout], [2, ''])
      assert.match(stderr, message)
      assert.match(stderr, /\n {2}hint: /)
    })
  }
})

it('a description of an action cannot break the document', () => {
  const document = describeSchema({
    actions: { a: { version: 1, description: 'one\n\n## two | three' } },
    closed: false,
  })
  assert.ok(document.endsWith('### `a`\n\none ## two | three\n\n- version: 1\n'))
})

function sourcesOf(room: string): string {
  const files = globSync(`src/${room}/**/*.ts`, { cwd: root })
  return files
    .filter((file) => !file.includes('cli/schema'))
    .map(readDocument)
    .join('\n')
}
