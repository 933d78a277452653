import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { leafHash } from '../../src/chain/hash.ts'
import { AuditError, type AuditErrorCode, type AuditOptions, createAudit } from '../../src/index.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { eventsIn, freshFolder, openAudit, recordsIn } from './opened.ts'

const event = {
  action: 'invoice.delete',
  operation: 'delete',
  actor: { type: 'user', id: 'u-1' },
  target: { resource_type: 'invoice', id: '42' },
  outcome: 'success',
} as const

test('emit returns a receipt for a record that is then in the spool, byte for byte', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  const receipt = audit.emit(event)
  assert.ok(receipt.status === 'written')
  await receipt.durable
  const stored = [...viewSpool(diskFiles, join(folder, 'spool')).records()].find(
    (one) => one.sequence === receipt.sequence,
  )
  assert.equal(leafHash(stored?.bytes ?? ''), receipt.hash)
  const record = JSON.parse(stored?.bytes.toString() ?? '') as Record<string, unknown>
  assert.equal(record.id, receipt.id)
  assert.equal(record.stream, receipt.stream)
  assert.equal(record.service, 'billing')
  assert.deepEqual(record.actor, { id: 'u-1', type: 'user' })
})

test('a stream opens, closes and is covered to its end; the next opening continues it', async (t) => {
  const folder = freshFolder(t)
  for (let round = 0; round < 2; round += 1) {
    const audit = openAudit(folder)
    audit.emit(event)
    await audit.close()
  }
  const records = recordsIn(folder)
  const opening = ['audit.stream.opened', 'invoice.delete', 'audit.stream.closed', 'audit.checkpoint']
  assert.deepEqual(
    records.filter((one, at) => one.action !== 'audit.checkpoint' || at === 3).map((one) => one.action),
    [...opening, ...opening.slice(0, 3)],
  )
  assert.equal(records.at(-1)?.action, 'audit.checkpoint')
  assert.deepEqual(
    records.map((one) => one.seq),
    records.map((_, at) => at + 1),
  )
  const opened = records.filter((one) => one.event_type === 'audit.stream.opened')
  assert.deepEqual(
    opened.map((one) => one.details?.previous_end),
    ['none', 'clean'],
  )
  assert.deepEqual(
    opened.map((one) => one.epoch),
    [1, 2],
  )
  assert.equal(new Set(records.map((one) => one.stream)).size, 1)
})

test('a checkpoint comes after 256 records, without a close', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  while (!recordsIn(folder).some((record) => record.event_type === 'audit.checkpoint')) {
    for (let at = 0; at < 100; at += 1) audit.emit(event)
    await audit.flush()
  }
  assert.ok(recordsIn(folder).length < 5_000)
})

test('by default reads are not recorded, unless they were denied', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { policy: {} })
  const receipt = audit.emit({ action: 'invoice.read', operation: 'read', outcome: 'success' })
  assert.ok(receipt.status === 'suppressed')
  assert.equal(receipt.rule, 'level:writes_only')
  await receipt.durable
  assert.equal(audit.emit({ action: 'invoice.read', operation: 'read', outcome: 'denied' }).status, 'written')
  await audit.close()
  assert.deepEqual(
    eventsIn(folder).map((one) => [one.outcome, one.level]),
    [['denied', 'writes_only']],
  )
})

test('switched off, nothing is recorded and emit is safe to call', (t) => {
  const audit = openAudit(freshFolder(t), { policy: { enabled: false } })
  const receipt = audit.emit(event)
  assert.equal(receipt.status === 'suppressed' && receipt.rule, 'disabled')
})

test('secrets are hidden before they reach the disk, with a receipt in the record', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { redact: { keys: ['shoeSize'] } })
  audit.emit({ ...event, details: { login: { Password: 'hunter2-secret' }, 'shoe-size': '44-secret' } })
  await audit.close()
  for (const name of diskFiles.list(join(folder, 'spool'))) {
    assert.ok(!readFileSync(join(folder, 'spool', name)).includes('-secret'), name)
  }
  const [record] = eventsIn(folder)
  assert.deepEqual(record?.details, { login: { Password: '[REDACTED]' }, 'shoe-size': '[REDACTED]' })
  assert.deepEqual(record?.redactions, [
    { count: 1, pointer: '/details/login/Password', rule: 'key:password' },
    { count: 1, pointer: '/details/shoe-size', rule: 'key:shoesize' },
  ])
})

test('the resource is redacted like the event, in every record', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, {
    resource: { 'db.password': 'geheim', zone: 'a' },
    redact: { keys: ['db.password'] },
  })
  audit.emit(event)
  audit.emit(event)
  await audit.close()
  for (const record of eventsIn(folder)) {
    assert.deepEqual(record.resource, { 'db.password': '[REDACTED]', zone: 'a' })
    assert.equal((record.redactions as unknown[]).length, 1)
  }
})

test('a resource with keys that JavaScript would reorder gives a canonical record', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { resource: { '9': 'a', '10': 'b' } })
  audit.emit(event)
  await audit.close()
  const record = [...viewSpool(diskFiles, join(folder, 'spool')).records()]
    .map((one) => one.bytes.toString())
    .find((one) => one.includes('invoice.delete'))
  assert.ok(record?.includes('"resource":{"10":"b","9":"a"}'), record)
})

test('whatever is emitted, emit does not throw and a record is written', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  let emitted = 0
  fc.assert(
    fc.property(
      fc.anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withSet: true,
        withTypedArray: true,
        withNullPrototype: true,
        withSparseArray: true,
      }),
      (value) => {
        assert.equal(audit.emit(value as never).status, 'written')
        assert.equal(audit.emit({ action: 'hostile', details: { value } }).status, 'written')
        emitted += 2
      },
    ),
  )
  const throwing = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error('no')
      },
      get: () => {
        throw new Error('no')
      },
    },
  )
  const revoked = Proxy.revocable({}, {})
  revoked.revoke()
  for (const value of [throwing, revoked.proxy, Object.create(null), () => {}, Symbol('s'), new Array(100_000)]) {
    assert.equal(audit.emit(value as never).status, 'written')
    assert.equal(audit.emit({ action: 'hostile', details: value as never }).status, 'written')
    emitted += 2
  }
  await audit.close()
  assert.equal(eventsIn(folder).length, emitted)
})

test('an event emitted from within another, by its own getter, is recorded too', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  const outer = audit.emit({
    action: 'outer',
    get reason() {
      return audit.emit({ action: 'inner' }).status
    },
  })
  assert.equal(outer.status, 'written')
  await audit.close()
  assert.deepEqual(
    eventsIn(folder).map((one) => one.action),
    ['inner', 'outer'],
  )
})

test("the correlation id is the event's own, else the context's, else a new one", async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder)
  await audit.withContext({ correlation_id: 'job-7' }, async () => {
    audit.emit({ action: 'first' })
    await new Promise((resolve) => setImmediate(resolve))
    audit.emit({ action: 'second', correlation_id: 'own' })
  })
  audit.emit({ action: 'third' })
  await audit.close()
  const ids = eventsIn(folder).map((one) => one.correlation_id)
  assert.deepEqual(ids.slice(0, 2), ['job-7', 'own'])
  assert.match(String(ids[2]), /^[0-9a-f]{8}-[0-9a-f]{4}-4/)
})

test('a key is made on first use with mode 0600 and used again; the verifier key carries the deployment', async (t) => {
  const folder = freshFolder(t)
  const signingKeyFile = join(folder, 'key', 'audit.key')
  mkdirSync(join(folder, 'key'))
  const first = openAudit(folder, { deployment: 'prod', keys: { signingKeyFile } })
  assert.equal(statSync(signingKeyFile).mode & 0o777, 0o600)
  assert.match(first.verifierKey, /^prod\+[0-9a-f]{8}\+/)
  await first.close()
  assert.equal(openAudit(folder, { deployment: 'prod', keys: { signingKeyFile } }).verifierKey, first.verifierKey)
})

test('closing with a destination that is down returns by its deadline, and the next start delivers everything', async (t) => {
  const folder = freshFolder(t)
  const seen: number[] = []
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'))
    seen.push(1)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  const down = openAudit(folder, {
    destinations: [{ type: 'otlp', endpoint: 'http://127.0.0.1:9', protocol: 'http/json' }],
    closeTimeoutMs: 100,
  })
  down.emit(event)
  await down.close()
  assert.equal(down.state.spool, 'closed')
  const up = openAudit(folder, {
    destinations: [{ type: 'otlp', endpoint: `http://127.0.0.1:${port}`, protocol: 'http/json' }],
  })
  await up.flush()
  const [otlp] = up.state.destinations
  assert.equal(otlp?.confirmed?.sequence, up.state.sequence)
  assert.ok(seen.length > 0)
})

test('flush and close after close change nothing and return', async (t) => {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { destinations: [{ type: 'file', path: join(folder, 'trail.ndjson') }] })
  audit.emit(event)
  await audit.close()
  await audit.flush()
  await audit.close()
  assert.equal(eventsIn(folder).length, 1)
})

test('one dead destination does not keep another waiting', async (t) => {
  const folder = freshFolder(t)
  const path = join(folder, 'trail.ndjson')
  const audit = openAudit(folder, {
    destinations: [
      { type: 'otlp', endpoint: 'http://127.0.0.1:9' },
      { type: 'file', path },
    ],
  })
  const receipt = audit.emit(event)
  assert.ok(receipt.status === 'written')
  await receipt.durable
  while (!readFileSync(path, 'utf8').includes(receipt.id)) await new Promise((resolve) => setTimeout(resolve, 5))
})

type Refusal = readonly [name: string, options: AuditOptions, code: AuditErrorCode, text: RegExp]

const refusals = (folder: string): readonly Refusal[] => [
  ['an unknown option', { colour: 'red' } as AuditOptions, 'INVALID_OPTION', /colour is "red".*no such option/],
  ['an unknown nested option', { spool: { directry: 'x' } } as AuditOptions, 'INVALID_OPTION', /spool\.directry/],
  [
    'an unknown level',
    { policy: { level: 'some' as 'all' } },
    'INVALID_OPTION',
    /policy\.level is "some".*"writes_only"/,
  ],
  ['a wrong type', { spool: { directory: 7 as unknown as string } }, 'INVALID_OPTION', /spool\.directory is 7.*string/],
  ['rules, which do not exist yet', { policy: { rules: [{}] as never[] } }, 'INVALID_OPTION', /policy\.rules\[0\]/],
  ['a deployment with white space', { deployment: 'a b' }, 'INVALID_OPTION', /deployment is "a b"/],
  ['a service that cannot name the deployment', { service: 'a b' }, 'INVALID_OPTION', /deployment is "a b"/],
  ['an unknown destination', { destinations: [{ type: 'fax' } as never] }, 'INVALID_OPTION', /destinations\[0\]/],
  [
    'two destinations of one name',
    { destinations: [{ type: 'stdout' }, { type: 'stdout' }] },
    'INVALID_OPTION',
    /destinations\[1\]\.name/,
  ],
  [
    'an endpoint that is no URL',
    { destinations: [{ type: 'otlp', endpoint: 'collector' }] },
    'INVALID_OPTION',
    /destinations\[0\]\.endpoint/,
  ],
  [
    'a worker that is not there',
    { workerUrl: 'file:///nowhere/worker.js' },
    'WORKER_NOT_FOUND',
    /worker\.js does not exist/,
  ],
  [
    'a spool below a file',
    { spool: { directory: join(folder, 'file', 'spool') } },
    'SPOOL_NOT_WRITABLE',
    /file\/spool cannot be opened/,
  ],
  [
    'a file destination in no directory',
    { destinations: [{ type: 'file', path: join(folder, 'none', 'a.ndjson') }] },
    'FILE_NOT_WRITABLE',
    /none/,
  ],
  ['a key that is none', { keys: { signingKeyFile: join(folder, 'file') } }, 'KEY_UNREADABLE', /file/],
]

test('what is wrong is refused at start, naming setting, value and what is allowed; the spool stays free', (t) => {
  const folder = freshFolder(t)
  writeFileSync(join(folder, 'file'), 'not a directory and not a key', { mode: 0o600 })
  for (const [name, options, code, text] of refusals(folder)) {
    assert.throws(
      () => createAudit({ spool: { directory: join(folder, 'spool') }, ...options }),
      (error) => {
        assert.ok(error instanceof AuditError, `${name}: ${error}`)
        assert.equal(error.code, code, name)
        assert.match(error.message, text, name)
        assert.ok(error.hint.length > 10 && error.setting !== undefined, name)
        return true
      },
    )
  }
  openAudit(folder)
})

test('a database password never stands in an error', () => {
  assert.throws(
    () => createAudit({ destinations: [{ type: 'postgres', url: 'mysql://user:geheim@host/db' }] }),
    (error) => error instanceof AuditError && error.code === 'INVALID_OPTION' && !error.message.includes('geheim'),
  )
})

test('a second process on the directory is refused, naming the holder', (t) => {
  const folder = freshFolder(t)
  openAudit(folder)
  assert.throws(
    () => openAudit(folder),
    (error) =>
      error instanceof AuditError && error.code === 'SPOOL_LOCKED' && error.message.includes(String(process.pid)),
  )
})

test('a spool of a later format version and a damaged one are refused, each by name', async (t) => {
  const folder = freshFolder(t)
  await openAudit(folder).close()
  const control = join(folder, 'spool', 'control')
  const bytes = readFileSync(control)
  writeFileSync(control, Buffer.alloc(bytes.length))
  assert.throws(
    () => openAudit(folder),
    (error) => error instanceof AuditError && error.code === 'SPOOL_CORRUPT',
  )
  writeFileSync(control, bytes)
  const segment = join(folder, 'spool', 'seg-00000001.wal')
  const header = readFileSync(segment)
  header.writeUInt16LE(9, 8)
  header.writeUInt32LE(crc32(header.subarray(0, 508)), 508)
  writeFileSync(segment, header)
  assert.throws(
    () => openAudit(folder),
    (error) => error instanceof AuditError && error.code === 'SPOOL_VERSION',
  )
})
