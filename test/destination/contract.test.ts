/** The table of `contract.ts` for the destinations whose own tests are about other things. */

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFileDestination } from '../../src/destination/file.ts'
import { createOtlpDestination } from '../../src/destination/otlp.ts'
import { createPostgresDestination } from '../../src/destination/postgres.ts'
import { withConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { readRecords } from '../../src/postgres/stored-records.ts'
import { type HttpReceiver, startHttpReceiver } from '../support/http-receiver.ts'
import { startEmbeddedPostgres } from '../support/postgres.ts'
import { type Peer, testContract } from './contract.ts'

const receivers = new WeakMap<Peer, HttpReceiver>()

function receiverOf(peer: Peer): HttpReceiver {
  const receiver = receivers.get(peer)
  assert.ok(receiver)
  return receiver
}

/** The bodies of the log records of a request. */
function bodiesOf(request: Buffer): string[] {
  const { resourceLogs } = JSON.parse(request.toString()) as {
    resourceLogs: { scopeLogs: { logRecords: { body: { stringValue: string } }[] }[] }[]
  }
  return resourceLogs.flatMap(({ scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) => logRecords.map(({ body }) => body.stringValue)),
  )
}

testContract({
  name: 'otlp',
  async open(t) {
    const receiver = await startHttpReceiver()
    t.after(() => receiver.stop())
    const peer: Peer = {
      connect: () => createOtlpDestination({ type: 'otlp', endpoint: receiver.url, protocol: 'http/json' }),
      held: async () => receiver.held,
      stop: () => receiver.stop(),
      start: () => receiver.start(),
    }
    receiver.answer = (response, { body }) => {
      receiver.held.push(...bodiesOf(body))
      response.end()
    }
    receivers.set(peer, receiver)
    return peer
  },
  refuse: (peer, id) => {
    const receiver = receiverOf(peer)
    receiver.answer = (response, { body }) => {
      if (body.includes(id)) return response.writeHead(400).end('no')
      receiver.held.push(...bodiesOf(body))
      return response.end()
    }
  },
  busy: (peer) => {
    const receiver = receiverOf(peer)
    const keep = receiver.answer
    receiver.answer = (response) => response.writeHead(429, { 'Retry-After': '7' }).end()
    return () => {
      receiver.answer = keep
    }
  },
  silence: async (peer) => {
    receiverOf(peer).answer = () => {}
    return async () => {}
  },
})

testContract({
  name: 'file',
  async open(t) {
    const directory = fs.mkdtempSync(join(tmpdir(), 'otel-audit-contract-'))
    t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
    const folder = join(directory, 'logs')
    const path = join(folder, 'audit.ndjson')
    fs.mkdirSync(folder)
    return {
      connect: () => createFileDestination({ type: 'file', path }),
      held: async () => (fs.existsSync(path) ? fs.readFileSync(path, 'utf8').split('\n').slice(0, -1) : []),
      stop: async () => fs.renameSync(folder, `${folder}.away`),
      start: async () => fs.renameSync(`${folder}.away`, folder),
    }
  },
  refuse: 'a disk takes any record',
  busy: 'a disk asks for nothing',
  silence: 'its calls are synchronous',
})

testContract({
  name: 'postgres',
  async open(t) {
    const dir = fs.mkdtempSync(join(tmpdir(), 'otel-audit-contract-'))
    fs.chmodSync(dir, 0o755) // the server has a user of its own
    const server = await startEmbeddedPostgres({ dir })
    t.after(async () => {
      await server.stop()
      fs.rmSync(dir, { recursive: true, force: true })
    })
    const { url } = server
    await withConnection({ url }, migrateUp)
    return {
      connect: () => createPostgresDestination({ type: 'postgres', url }),
      held: () =>
        withConnection({ url }, async (connection) => {
          const held: string[] = []
          for await (const { bytes } of readRecords(connection)) held.push(Buffer.from(bytes).toString())
          return held
        }),
      stop: () => server.crash(),
      start: () => server.start(),
    }
  },
  refuse: 'it takes any record, and holds back what it cannot derive',
  busy: 'it does not say for how long',
  silence: 'tested in postgres.test.ts',
})
