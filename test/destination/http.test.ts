import assert from 'node:assert/strict'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { leafHash } from '../../src/chain/hash.ts'
import type { Delivery } from '../../src/destination/destination.ts'
import { createHttpDestination } from '../../src/destination/http.ts'
import type { HttpDestinationOptions } from '../../src/destination/options.ts'
import { makeAuthority } from '../support/authority.ts'
import { type HttpReceiver, startHttpReceiver } from '../support/http-receiver.ts'
import { type Peer, testContract } from './contract.ts'
import { batchOf, makeBatch, makeRecord, stream } from './records.ts'

const receivers = new WeakMap<Peer, HttpReceiver>()
const receiverOf = (peer: Peer): HttpReceiver => {
  const receiver = receivers.get(peer)
  assert.ok(receiver)
  return receiver
}

testContract({
  name: 'http',
  async open(t) {
    const receiver = await startHttpReceiver()
    t.after(() => receiver.stop())
    const peer: Peer = {
      connect: () => createHttpDestination({ type: 'http', endpoint: receiver.url, format: 'ndjson' }),
      held: async () => receiver.held,
      stop: () => receiver.stop(),
      start: () => receiver.start(),
    }
    receivers.set(peer, receiver)
    return peer
  },
  refuse: (peer, id) => {
    const receiver = receiverOf(peer)
    receiver.answer = (response, post) => {
      if (post.body.includes(id)) return response.writeHead(400).end(`cannot take ${id}`)
      receiver.keep(post)
      return response.end()
    }
  },
  busy: (peer) => {
    const receiver = receiverOf(peer)
    receiver.answer = (response) => response.writeHead(429, { 'Retry-After': '7' }).end()
    return () => {
      receiver.answer = undefined
    }
  },
  silence: async (peer) => {
    receiverOf(peer).answer = () => {}
    return async () => {}
  },
})

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const nextSecret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

async function start(t: TestContext, answer?: HttpReceiver['answer']): Promise<HttpReceiver> {
  const receiver = await startHttpReceiver()
  receiver.answer = answer ?? ((response) => response.end())
  t.after(() => receiver.stop())
  return receiver
}

function connect(t: TestContext, options: Omit<HttpDestinationOptions, 'type'>) {
  const destination = createHttpDestination({ type: 'http', ...options })
  t.after(() => destination.close())
  return destination
}

function onlyPost({ posts }: HttpReceiver) {
  const [post] = posts
  assert.ok(post !== undefined && posts.length === 1)
  return post
}

const reply =
  (status: number, headers: Record<string, string> = {}, body = ''): HttpReceiver['answer'] =>
  (response) =>
    response.writeHead(status, headers).end(body)

const judgements: readonly { what: string; answer: HttpReceiver['answer']; expected: Partial<Delivery> }[] = [
  ...[200, 201, 202, 204].map((status) => ({
    what: String(status),
    answer: reply(status),
    expected: { status: 'delivered' as const },
  })),
  ...[400, 413, 422].map((status) => ({
    what: String(status),
    answer: reply(status, {}, 'bad'),
    expected: { status: 'rejected' as const, reason: `HTTP ${status}: bad` },
  })),
  ...[401, 403, 404, 408, 409, 410, 415, 500, 502].map((status) => ({
    what: String(status),
    answer: reply(status, {}, 'no'),
    expected: { status: 'retry' as const, reason: `HTTP ${status}: no` },
  })),
  {
    what: '503 with a date that has passed',
    answer: reply(503, { 'Retry-After': 'Wed, 21 Oct 2015 07:28:00 GMT' }),
    expected: { status: 'retry', afterMs: 0 },
  },
  ...[301, 302, 307, 308].map((status) => ({
    what: `${status} to another host`,
    answer: reply(status, { Location: 'https://elsewhere.example/hook' }),
    expected: {
      status: 'retry' as const,
      reason: `HTTP ${status} redirects to https://elsewhere.example/hook: not followed, set the endpoint to where it leads`,
    },
  })),
]

for (const { what, answer, expected } of judgements) {
  test(`${what} is ${expected.status}, after one request`, async (t) => {
    const receiver = await start(t, answer)
    const delivery = await connect(t, { endpoint: receiver.url }).send(batchOf(1, 3), t.signal)
    assert.partialDeepStrictEqual(delivery, expected)
    assert.equal(receiver.posts.length, 1)
  })
}

test('the default is a JSON array of the records, their bytes as sealed', async (t) => {
  const receiver = await start(t)
  await connect(t, { endpoint: `${receiver.url}/audit?tenant=1` }).send(batchOf(1, 3), t.signal)
  const { headers, body, path } = onlyPost(receiver)
  assert.equal(path, '/audit?tenant=1')
  assert.equal(headers['content-type'], 'application/json')
  assert.equal(
    body.toString(),
    `[${batchOf(1, 3)
      .records.map(({ bytes }) => bytes.toString())
      .join(',')}]`,
  )
  assert.equal(headers['content-length'], String(body.length))
})

test('a batch has one id, whenever and by whomever it is sent, and another batch another', async (t) => {
  const receiver = await start(t)
  const options = { endpoint: receiver.url }
  for (const batch of [batchOf(1, 3), batchOf(1, 3), batchOf(1, 2)]) await connect(t, options).send(batch, t.signal)
  const [first, again, other] = receiver.posts.map(({ headers }) => headers['webhook-id'])
  const last = batchOf(3, 3).records[0]
  assert.equal(first, `${stream}_1_3_${last && leafHash(last.bytes).slice(0, 16)}`)
  assert.equal(again, first)
  assert.notEqual(other, first)
  assert.deepEqual(
    receiver.posts.map(({ headers }) => headers['idempotency-key']),
    [first, again, other],
  )
})

test('the id of a batch of two streams names both', async (t) => {
  const receiver = await start(t)
  const next = { ...makeRecord(1), stream: 'next' }
  await connect(t, { endpoint: receiver.url }).send(makeBatch([makeRecord(7), next]), t.signal)
  assert.match(String(onlyPost(receiver).headers['webhook-id']), new RegExp(`^${stream}_7_next_1_[0-9a-f]{16}$`))
})

for (const compression of ['none', 'gzip'] as const) {
  test(`the library of Standard Webhooks accepts the bytes as they came (${compression})`, async (t) => {
    const receiver = await start(t)
    await connect(t, { endpoint: receiver.url, secret, compression }).send(batchOf(1, 2), t.signal)
    const { headers, raw } = onlyPost(receiver)
    const given = headers as Record<string, string>
    if (compression === 'none') assert.doesNotThrow(() => new Webhook(secret).verify(raw.toString(), given))
    // The library takes text only: Latin-1 would be encoded again, so the signature is compared with its own.
    if (compression === 'gzip') {
      const { createHmac } = await import('node:crypto')
      const signed = createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
        .update(`${given['webhook-id']}.${given['webhook-timestamp']}.`)
        .update(raw)
      assert.equal(given['webhook-signature'], `v1,${signed.digest('base64')}`)
    }
    assert.throws(() => new Webhook(secret).verify(`${raw.toString()} `, given))
    assert.throws(() => new Webhook(nextSecret).verify(raw.toString(), given))
  })
}

test('while a secret is replaced, receivers that know either accept', async (t) => {
  const receiver = await start(t)
  await connect(t, { endpoint: receiver.url, secret: [secret, nextSecret] }).send(batchOf(1, 2), t.signal)
  const { headers, body } = onlyPost(receiver)
  for (const known of [secret, nextSecret])
    assert.doesNotThrow(() => new Webhook(known).verify(body.toString(), headers as Record<string, string>))
})

test('a secret that a file gets while running signs the next request', async (t) => {
  const receiver = await start(t)
  const directory = fs.mkdtempSync(join(tmpdir(), 'otel-audit-http-'))
  t.after(() => fs.rmSync(directory, { recursive: true }))
  const secretFile = join(directory, 'secrets')
  const destination = connect(t, { endpoint: receiver.url, secretFile })
  const sendWith = async (text: string) => {
    fs.writeFileSync(secretFile, text)
    return destination.send(batchOf(1, 1), t.signal)
  }
  await sendWith(`# of this year\n${secret}\n`)
  await sendWith(`${nextSecret}\n`)
  for (const [index, known] of [secret, nextSecret].entries()) {
    const post = receiver.posts[index]
    assert.doesNotThrow(() => new Webhook(known).verify(String(post?.body), post?.headers as Record<string, string>))
  }
  for (const text of ['', 'not a secret\n']) {
    const delivery = await sendWith(text)
    assert.equal(delivery.status, 'retry')
    assert.ok('reason' in delivery && !delivery.reason.includes('not a secret'))
  }
  assert.equal(receiver.posts.length, 2, 'nothing goes out unsigned')
})

test('without a secret nothing is signed', async (t) => {
  const receiver = await start(t)
  await connect(t, { endpoint: receiver.url }).send(batchOf(1, 1), t.signal)
  assert.equal(onlyPost(receiver).headers['webhook-signature'], undefined)
})

test('a secret that is none is refused before anything is sent, and not shown', () => {
  for (const wrong of ['hunter2', 'whsec_c2hvcnQ=', `whsec_${'A'.repeat(200)}`, 'whsec_!!!!']) {
    assert.throws(
      () => createHttpDestination({ type: 'http', endpoint: 'http://127.0.0.1:1', secret: wrong }),
      (thrown: Error) => !thrown.message.includes(wrong) && /whsec_ and the base64 of 24 to 64/.test(thrown.message),
    )
  }
})

test('one connection serves many batches', async (t) => {
  const receiver = await start(t)
  const destination = connect(t, { endpoint: receiver.url })
  for (let sequence = 1; sequence <= 5; sequence++) await destination.send(batchOf(sequence, sequence), t.signal)
  assert.equal(receiver.connections, 1)
})

test('an answer that does not come is a retry after timeoutMs', async (t) => {
  const receiver = await start(t, () => {})
  const delivery = await connect(t, { endpoint: receiver.url, timeoutMs: 50 }).send(batchOf(1, 1), t.signal)
  assert.deepEqual(delivery, { status: 'retry', reason: `${receiver.url}: no answer within 50 ms` })
})

test('an endless answer is cut off', async (t) => {
  const receiver = await start(t, (response) => {
    const more = () => {
      while (response.writable && response.write(Buffer.alloc(65_536)));
    }
    response.on('drain', more).on('error', () => {})
    more()
  })
  const delivery = await connect(t, { endpoint: receiver.url }).send(batchOf(1, 1), t.signal)
  assert.equal(delivery.status, 'retry')
  assert.match('reason' in delivery ? delivery.reason : '', /an answer of more than 4194304 bytes/)
})

test('TLS trusts the given authority alone, shows a certificate when it is asked, and takes rotated files', async (t) => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'otel-audit-http-'))
  t.after(() => fs.rmSync(directory, { recursive: true }))
  const authority = makeAuthority(join(directory, 'ours'))
  const stranger = makeAuthority(join(directory, 'theirs'))
  const server = authority.issue('server', 'IP:127.0.0.1')
  const client = authority.issue('client', 'DNS:client')
  const read = (path: string) => fs.readFileSync(path, 'utf8')
  const receiver = await startHttpReceiver({
    key: read(server.keyFile),
    cert: read(server.certFile),
    ca: read(authority.caFile),
  })
  receiver.answer = (response) => response.writeHead(200, { connection: 'close' }).end()
  t.after(() => receiver.stop())
  const caFile = join(directory, 'trusted.pem')
  fs.copyFileSync(stranger.caFile, caFile)
  const endpoint = receiver.url
  const destination = connect(t, { endpoint, tls: { caFile, ...client } })
  const refused = await destination.send(batchOf(1, 1), t.signal)
  assert.match('reason' in refused ? refused.reason : '', /self-signed certificate|unable to verify/)
  fs.copyFileSync(authority.caFile, caFile)
  assert.deepEqual(await destination.send(batchOf(1, 1), t.signal), { status: 'delivered' })
  fs.copyFileSync(stranger.caFile, caFile)
  assert.equal(
    (await destination.send(batchOf(2, 2), t.signal)).status,
    'retry',
    'no session lives on without the file',
  )
  fs.copyFileSync(authority.caFile, caFile)
  const nameless = await connect(t, { endpoint, tls: { caFile } }).send(batchOf(1, 1), t.signal)
  assert.equal(nameless.status, 'retry')
  const missing = await connect(t, { endpoint, tls: { caFile: join(directory, 'absent.pem') } }).send(
    batchOf(1, 1),
    t.signal,
  )
  assert.match('reason' in missing ? missing.reason : '', /ENOENT.*absent\.pem/)
})
