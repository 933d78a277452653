import assert from 'node:assert/strict'
import { once } from 'node:events'
import fs from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { SyslogDestinationOptions } from '../../src/destination/options.ts'
import { createSyslogDestination } from '../../src/destination/syslog.ts'
import { freePort } from '../parts/process.ts'
import { type Rsyslog, rsyslogAbsent, rsyslogBinary, startRsyslog } from '../parts/rsyslog.ts'
import { makeAuthority } from '../support/authority.ts'
import { type Peer, testContract } from './contract.ts'
import { batchOf, makeBatch, makeRecord } from './records.ts'

const skip = rsyslogBinary() === undefined ? rsyslogAbsent : undefined

function makeDirectory(t: TestContext): string {
  const directory = fs.mkdtempSync(join(tmpdir(), 'otel-audit-syslog-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}

function connect(t: TestContext, options: Omit<SyslogDestinationOptions, 'type'>) {
  const destination = createSyslogDestination({ type: 'syslog', ...options })
  t.after(() => destination.close())
  return destination
}

async function start(t: TestContext, tls?: Parameters<typeof startRsyslog>[0]['tls']): Promise<Rsyslog> {
  const rsyslog = await startRsyslog({ dir: makeDirectory(t), ...(tls !== undefined && { tls }) })
  t.after(() => rsyslog.kill())
  return rsyslog
}

function peerOf(rsyslog: Rsyslog, options: Omit<SyslogDestinationOptions, 'type'>): Peer {
  return {
    connect: () => createSyslogDestination({ type: 'syslog', ...options }),
    held: async () => rsyslog.received().map(({ text }) => text),
    stop: () => rsyslog.kill(),
    start: () => rsyslog.start(),
  }
}

/** A server that takes connections and reads nothing. */
async function startDeaf(t: TestContext): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => sockets.add(socket.pause().on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return `tcp://127.0.0.1:${address.port}`
}

/** More than the two kernels keep for a connection. */
const tooMuch = makeBatch(
  Array.from({ length: 500 }, (_, index) => makeRecord(index + 1, { reason: 'x'.repeat(40_000) })),
)

for (const transport of ['udp', 'tcp'] as const) {
  testContract({
    name: `syslog over ${transport}`,
    skip,
    async open(t) {
      const rsyslog = await start(t)
      return peerOf(rsyslog, { address: `${transport}://127.0.0.1:${rsyslog.port}` })
    },
    refuse: 'syslog refuses nothing',
    busy: 'syslog answers nothing',
    silence: 'tested below, with a server that does not read',
  })
}

testContract({
  name: 'syslog over TLS, confirmed by reading',
  skip,
  async open(t) {
    const authority = makeAuthority(join(makeDirectory(t), 'authority'))
    const { caFile } = authority
    const rsyslog = await start(t, { caFile, ...authority.issue('server', 'IP:127.0.0.1') })
    const client = authority.issue('client', 'DNS:client')
    const address = `tls://127.0.0.1:${rsyslog.port}`
    return peerOf(rsyslog, { address, confirm: 'read', tls: { caFile, ...client } })
  },
  refuse: 'syslog refuses nothing',
  busy: 'syslog answers nothing',
  silence: 'tested below, with a server that does not read',
})

test('rsyslog reads every field as it was meant', { skip }, async (t) => {
  const rsyslog = await start(t)
  const destination = connect(t, { address: `tcp://127.0.0.1:${rsyslog.port}`, confirm: 'read', hostname: 'app-1' })
  const record = makeRecord(7, { outcome: 'denied', reason: '] "quoted" \\ ünïcode' })
  assert.deepEqual(await destination.send(makeBatch([record]), t.signal), { status: 'delivered' })
  const message = await untilReceived(rsyslog)
  assert.partialDeepStrictEqual(message, {
    severity: 'warning',
    hostname: 'app-1',
    appName: 'billing',
    messageId: 'invoice.delete',
    timestamp: '2026-11-22T09:00:00.000000Z',
    text: record.bytes.toString(),
  })
  assert.match(
    String(message?.structuredData),
    /^\[otelAudit@32473 auditId="[^"]+" stream="[^"]+" sequence="7" hash="[0-9a-f]{64}"\]$/,
  )
})

async function untilReceived(rsyslog: Rsyslog) {
  const deadline = AbortSignal.timeout(10_000)
  for (;;) {
    const [message] = rsyslog.received()
    if (message !== undefined || deadline.aborted) return message
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('a server that restarted between two batches gets both, without a failed try', { skip }, async (t) => {
  const rsyslog = await start(t)
  const peer = peerOf(rsyslog, { address: `tcp://127.0.0.1:${rsyslog.port}` })
  const destination = await peer.connect()
  t.after(() => destination.close())
  for (let round = 0; round < 5; round++) {
    const batch = batchOf(round * 10 + 1, round * 10 + 10)
    assert.deepEqual(await destination.send(batch, t.signal), { status: 'delivered' })
    await untilHeld(peer, (round + 1) * 10)
    await peer.stop()
    await peer.start()
  }
  assert.equal(new Set(await peer.held()).size, 50)
})

test('killed under load, a server that confirms by reading has every batch that counts as delivered', {
  skip,
}, async (t) => {
  const rsyslog = await start(t)
  const peer = peerOf(rsyslog, { address: `tcp://127.0.0.1:${rsyslog.port}`, confirm: 'read' })
  const destination = await peer.connect()
  t.after(() => destination.close())
  let delivered = 0
  const deadline = AbortSignal.timeout(30_000)
  const restart = async () => {
    for (let round = 0; round < 3; round++) {
      const before = delivered
      while (delivered < before + 50 && !deadline.aborted) await new Promise((resolve) => setImmediate(resolve))
      await rsyslog.stop()
      await rsyslog.start()
    }
  }
  const restarted = restart()
  let isOver = false
  void restarted.finally(() => {
    isOver = true
  })
  for (let first = 1; !isOver; ) {
    const delivery = await destination.send(batchOf(first, first + 4), t.signal)
    if (delivery.status !== 'delivered') continue
    delivered += 5
    first += 5
  }
  await restarted
  await untilHeld(peer, delivered)
  const held = new Set(await peer.held())
  const missing = batchOf(1, delivered).records.filter(({ bytes }) => !held.has(bytes.toString()))
  assert.deepEqual(
    missing.map(({ sequence }) => sequence),
    [],
  )
})

async function untilHeld(peer: Peer, count: number): Promise<void> {
  const deadline = AbortSignal.timeout(10_000)
  while (new Set(await peer.held()).size < count && !deadline.aborted)
    await new Promise((resolve) => setImmediate(resolve))
}

test('a server that does not read holds a sending until timeoutMs, or until the signal', async (t) => {
  const address = await startDeaf(t)
  const options = { address, messageBytesMax: 65_536 }
  const late = await connect(t, { ...options, timeoutMs: 100 }).send(tooMuch, t.signal)
  assert.deepEqual(late, { status: 'retry', reason: `${address}: no answer within 100 ms` })
  const stopping = new AbortController()
  const stopped = connect(t, options).send(tooMuch, stopping.signal)
  setImmediate(() => stopping.abort())
  assert.deepEqual(await stopped, { status: 'retry', reason: 'stopped' })
})

test('a server that does not close is no receipt', async (t) => {
  const address = await startDeaf(t)
  const delivery = await connect(t, { address, confirm: 'read', timeoutMs: 100 }).send(batchOf(1, 1), t.signal)
  assert.equal(delivery.status, 'retry')
})

test('a refused connection is a retry that names the server', async (t) => {
  const address = `tcp://127.0.0.1:${await freePort()}`
  const delivery = await connect(t, { address }).send(batchOf(1, 1), t.signal)
  assert.match('reason' in delivery ? delivery.reason : '', new RegExp(`^${address}: .*ECONNREFUSED`))
})

test('a message that is too long is refused by its index, with the remedy, and nothing is sent', async (t) => {
  const address = `tcp://127.0.0.1:${await freePort()}`
  const long = makeRecord(2, { reason: 'x'.repeat(8_000) })
  const delivery = await connect(t, { address }).send(makeBatch([makeRecord(1), long, makeRecord(3)]), t.signal)
  assert.partialDeepStrictEqual(delivery, { status: 'rejected', indexes: [1] })
  assert.match(
    'reason' in delivery ? delivery.reason : '',
    /record 2 takes \d+ bytes .* more than messageBytesMax 8192: raise messageBytesMax/,
  )
})

test('TLS trusts nobody but the given authority', { skip }, async (t) => {
  const directory = makeDirectory(t)
  const authority = makeAuthority(join(directory, 'ours'))
  const stranger = makeAuthority(join(directory, 'theirs'))
  const { caFile } = authority
  const rsyslog = await start(t, { caFile, ...authority.issue('server', 'IP:127.0.0.1') })
  const client = authority.issue('client', 'DNS:client')
  const address = `tls://127.0.0.1:${rsyslog.port}`
  for (const confirm of ['written', 'read'] as const) {
    const sendWith = (tls: SyslogDestinationOptions['tls']) =>
      connect(t, { address, tls, confirm }).send(batchOf(1, 1), t.signal)
    assert.equal((await sendWith({ caFile: stranger.caFile, ...client })).status, 'retry')
    assert.equal((await sendWith({ caFile, ...client, serverName: 'elsewhere' })).status, 'retry')
    assert.equal((await sendWith({ caFile })).status, 'retry', 'the server wants a certificate')
    assert.equal((await sendWith({ caFile, ...client })).status, 'delivered')
  }
})
