import assert from 'node:assert/strict'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib'
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { leafHash } from '../../src/chain/hash.ts'
import type { Destination } from '../../src/destination/destination.ts'
import type { S3DestinationOptions } from '../../src/destination/options.ts'
import { createS3Destination } from '../../src/destination/s3.ts'
import { findHead } from '../../src/destination/s3-head.ts'
import { keyBefore, objectKey, parseKey } from '../../src/destination/s3-key.ts'
import { startVersitygw, type Versitygw, versitygwAbsent, versitygwBinary } from '../parts/versitygw.ts'
import { startHttpReceiver } from '../support/http-receiver.ts'
import { testContract } from './contract.ts'
import { batchOf, makeBatch, makeRecord, stream } from './records.ts'

const skip = versitygwBinary() === undefined ? versitygwAbsent : undefined

async function start(t: TestContext): Promise<Versitygw> {
  const dir = fs.mkdtempSync(join(tmpdir(), 'otel-audit-s3-'))
  const server = await startVersitygw(dir)
  t.after(async () => {
    await server.kill()
    fs.rmSync(dir, { recursive: true, force: true })
  })
  return server
}

const optionsOf = ({ address }: Versitygw): Omit<S3DestinationOptions, 'type'> => ({ ...address, forcePathStyle: true })

async function connect(t: TestContext, options: Omit<S3DestinationOptions, 'type'>): Promise<Destination> {
  const destination = await createS3Destination({ type: 's3', ...options })
  t.after(() => destination.close())
  return destination
}

function clientOf(t: TestContext, { address }: Versitygw): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = address
  const credentials = { accessKeyId, secretAccessKey }
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true, maxAttempts: 1 })
  t.after(() => client.destroy())
  return client
}

/** Keys and contents, decompressed, in the order of the listing. */
async function objectsOf(client: S3Client, { address }: Versitygw): Promise<[key: string, content: string][]> {
  const { bucket: Bucket } = address
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }))
  const objects: [string, string][] = []
  for (const { Key = '' } of Contents) {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
    const bytes = Buffer.from((await Body?.transformToByteArray()) ?? [])
    objects.push([
      Key,
      (Key.endsWith('.gz') ? gunzipSync(bytes) : Key.endsWith('.zst') ? zstdDecompressSync(bytes) : bytes).toString(),
    ])
  }
  return objects
}

testContract({
  name: 's3',
  skip,
  async open(t) {
    const server = await start(t)
    const client = clientOf(t, server)
    return {
      connect: () => createS3Destination({ type: 's3', ...optionsOf(server) }),
      held: async () => (await objectsOf(client, server)).flatMap(([, content]) => content.split('\n').slice(0, -1)),
      stop: () => server.kill(),
      start: () => server.start(),
    }
  },
  refuse: 'S3 takes any content',
  busy: 'tested below, against a server that says so',
  silence: 'tested below, against a server that does not answer',
})

test('a key tells stream, first and last record and the last hash, and sorts by the first', () => {
  const key = objectKey('audit/', batchOf(7, 12).records, 'gzip')
  const hash = leafHash(makeRecord(12).bytes)
  assert.equal(key, `audit/${stream}/0000000000000007-0000000000000012-${hash}.ndjson.gz`)
  assert.deepEqual(parseKey(key), { first: 7, last: 12, hash })
  assert.ok(keyBefore('audit/', stream, 7) < key && key < keyBefore('audit/', stream, 8))
  assert.equal(parseKey(`audit/${stream}/notes.txt`), undefined)
})

test('the head is found among any number of objects, with few listings', async () => {
  for (const count of [0, 1, 2, 3, 7, 64, 1_000, 5_000]) {
    for (const size of [1, 10]) {
      const keys = Array.from({ length: count }, (_, index) =>
        objectKey('p/', [makeRecord(index * size + 1), makeRecord((index + 1) * size)], 'gzip'),
      )
      let listings = 0
      const head = await findHead({ prefix: 'p/', stream }, async (after) => {
        listings += 1
        return keys.find((key) => key > after)
      })
      const expected =
        count === 0 ? undefined : { sequence: count * size, hash: leafHash(makeRecord(count * size).bytes) }
      assert.deepEqual(head, expected, `${count} objects of ${size}`)
      assert.ok(listings <= 4 + 2 * Math.log2(count * size + 1), `${listings} listings for ${count} objects of ${size}`)
    }
  }
})

for (const compression of ['gzip', 'zstd', 'none'] as const) {
  test(`an object holds the lines of its batch (${compression})`, { skip }, async (t) => {
    const server = await start(t)
    const destination = await connect(t, { ...optionsOf(server), prefix: 'audit/billing-', compression })
    assert.deepEqual(await destination.send(batchOf(1, 3), t.signal), { status: 'delivered' })
    const lines = batchOf(1, 3).records.map(({ bytes }) => `${bytes}\n`)
    assert.deepEqual(await objectsOf(clientOf(t, server), server), [
      [objectKey('audit/billing-', batchOf(1, 3).records, compression), lines.join('')],
    ])
  })
}

test('a batch of two streams, or with a number left out, becomes one object for each run', { skip }, async (t) => {
  const server = await start(t)
  const destination = await connect(t, optionsOf(server))
  const other = { ...makeRecord(1, { stream: 'b' }), stream: 'b' }
  await destination.send(makeBatch([makeRecord(1), makeRecord(2), makeRecord(4), other]), t.signal)
  const ranges = (await objectsOf(clientOf(t, server), server)).map(([key]) => {
    const { first, last } = parseKey(key) ?? {}
    return `${key.split('/')[0]} ${first}-${last}`
  })
  assert.deepEqual(ranges, [`${stream} 1-2`, `${stream} 4-4`, 'b 1-1'])
})

test('an object with another content under the same key is a fork, and stays', { skip }, async (t) => {
  const server = await start(t)
  const client = clientOf(t, server)
  const { bucket: Bucket } = server.address
  const destination = await connect(t, optionsOf(server))
  const { records } = batchOf(1, 4)
  const Key = objectKey('', records, 'gzip')
  const changed = makeRecord(2, { reason: 'another' })
  const put = (Body: Buffer) => client.send(new PutObjectCommand({ Bucket, Key, Body }))
  const lines = [makeRecord(1), changed, makeRecord(3), makeRecord(4)].map(({ bytes }) => `${bytes}\n`).join('')
  for (const [body, index, hash] of [
    [gzipSync(lines), 1, leafHash(changed.bytes)],
    [gzipSync(`${makeRecord(1).bytes}\n`), 1, undefined],
    [Buffer.from('no gzip'), 0, undefined],
    [Buffer.alloc(100_000), 0, undefined],
  ] as const) {
    await put(Buffer.from(body))
    const delivery = await destination.send(makeBatch([makeRecord(9), ...records]), t.signal)
    const held = { sequence: index + 1, hash }
    assert.partialDeepStrictEqual(delivery, { status: 'rejected', forked: { index: index + 1, held } })
    const { ContentLength } = await client.send(new GetObjectCommand({ Bucket, Key }))
    assert.equal(ContentLength, body.length)
  }
})

test('the head is what the last object tells', { skip }, async (t) => {
  const server = await start(t)
  const destination = await connect(t, { ...optionsOf(server), prefix: 'a/' })
  assert.deepEqual(await destination.head?.(stream, t.signal), { status: 'known', head: undefined })
  for (const [from, to] of [
    [1, 3],
    [4, 4],
    [5, 30],
  ] as const)
    await destination.send(batchOf(from, to), t.signal)
  const head = { sequence: 30, hash: leafHash(makeRecord(30).bytes) }
  assert.deepEqual(await destination.head?.(stream, t.signal), { status: 'known', head })
  assert.deepEqual(await destination.head?.('another', t.signal), { status: 'known', head: undefined })
})

test('a wrong key or bucket is tried again, and says so', { skip }, async (t) => {
  const server = await start(t)
  const reasonOf = async (change: Partial<S3DestinationOptions>) => {
    const delivery = await (await connect(t, { ...optionsOf(server), ...change })).send(batchOf(1, 1), t.signal)
    return delivery.status === 'retry' ? delivery.reason : delivery.status
  }
  assert.match(await reasonOf({ secretAccessKey: 'wrong' }), /^s3:\/\/audit: HTTP 403 SignatureDoesNotMatch/)
  assert.match(await reasonOf({ bucket: 'absent' }), /^s3:\/\/absent: HTTP 404 NoSuchBucket/)
})

test('the server killed in the middle of many batches holds each record once', { skip }, async (t) => {
  const server = await start(t)
  const destination = await connect(t, optionsOf(server))
  for (let batch = 0; batch < 12; batch++) {
    const sending = destination.send(batchOf(batch * 5 + 1, batch * 5 + 5), t.signal)
    if (batch % 4 === 3) {
      await server.kill()
      await server.start()
    }
    if ((await sending).status === 'delivered') continue
    assert.deepEqual(await destination.send(batchOf(batch * 5 + 1, batch * 5 + 5), t.signal), { status: 'delivered' })
  }
  const held = (await objectsOf(clientOf(t, server), server)).map(([, content]) => content).join('')
  assert.equal(
    held,
    batchOf(1, 60)
      .records.map(({ bytes }) => `${bytes}\n`)
      .join(''),
  )
})

/** Answers as S3 would that has no time. */
async function startFake(t: TestContext, answer: 'busy' | 'silent') {
  const receiver = await startHttpReceiver()
  t.after(() => receiver.stop())
  receiver.answer = (response) => {
    if (answer === 'busy')
      response.writeHead(503, { 'Retry-After': '7' }).end('<Error><Code>SlowDown</Code><Message>slow</Message></Error>')
  }
  const credentials = { accessKeyId: 'a', secretAccessKey: 's' }
  return {
    receiver,
    options: { bucket: 'audit', endpoint: receiver.url, region: 'us-east-1', forcePathStyle: true, ...credentials },
  }
}

test('a busy server is asked once, and again when it wishes', async (t) => {
  const { receiver, options } = await startFake(t, 'busy')
  const delivery = await (await connect(t, options)).send(batchOf(1, 1), t.signal)
  assert.deepEqual(delivery, { status: 'retry', reason: 's3://audit: HTTP 503 SlowDown: slow', afterMs: 7_000 })
  assert.equal(receiver.posts.length, 1)
})

test('a server that does not answer holds a sending until timeoutMs, or until the signal', async (t) => {
  const { options } = await startFake(t, 'silent')
  const late = await (await connect(t, { ...options, timeoutMs: 100 })).send(batchOf(1, 1), t.signal)
  assert.partialDeepStrictEqual(late, { status: 'retry', reason: 's3://audit: no answer within 100 ms' })
  const stopping = new AbortController()
  const sending = (await connect(t, options)).send(batchOf(1, 1), stopping.signal)
  setImmediate(() => stopping.abort())
  assert.deepEqual(await sending, { status: 'retry', reason: 'stopped' })
})

test('what is put is put conditionally, with a checksum, and with what the options ask for', async (t) => {
  const { receiver, options } = await startFake(t, 'silent')
  receiver.answer = (response) => response.end()
  const destination = await connect(t, {
    ...options,
    storageClass: 'STANDARD_IA',
    serverSideEncryption: { algorithm: 'aws:kms', kmsKeyId: 'k-1' },
    objectLock: { mode: 'COMPLIANCE', days: 365 },
  })
  assert.deepEqual(await destination.send(batchOf(1, 1), t.signal), { status: 'delivered' })
  const headers = receiver.posts[0]?.headers
  assert.partialDeepStrictEqual(headers, {
    'if-none-match': '*',
    'content-type': 'application/gzip',
    'x-amz-storage-class': 'STANDARD_IA',
    'x-amz-server-side-encryption': 'aws:kms',
    'x-amz-server-side-encryption-aws-kms-key-id': 'k-1',
    'x-amz-object-lock-mode': 'COMPLIANCE',
  })
  assert.ok(headers?.['x-amz-checksum-crc32'])
  const until = Date.parse(String(headers?.['x-amz-object-lock-retain-until-date']))
  assert.ok(Math.abs(until - Date.now() - 365 * 86_400_000) < 60_000)
})
