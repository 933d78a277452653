/** Our otlp destination straight to the real gateway of gateway-tls-bearer.yaml: TLS, client certificates, bearer tokens. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createOtlpDestination } from '../src/destination/otlp.ts'
import { batchOf } from './destination/records.ts'
import { collectorAbsent, collectorBinary, startCollector } from './parts/collector.ts'
import { makeCertificate } from './support/certificate.ts'
import { startOtlpBackend } from './support/otlp-backend.ts'

const needed = { skip: collectorBinary() === undefined && collectorAbsent, timeout: 60_000 }
const dayMs = 86_400_000
const right = { Authorization: 'Bearer right-token' }

interface GatewayOptions {
  /** Its certificate ended yesterday. */
  readonly isExpired?: boolean
  /** Senders must show a certificate. */
  readonly asksForCertificate?: boolean
}

/** A gateway with its backend, and files for its client. */
async function startGateway(t: TestContext, { isExpired = false, asksForCertificate = false }: GatewayOptions = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'otel-audit-tls-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const write = (name: string, text: string) => {
    writeFileSync(join(dir, name), text, { mode: 0o600 })
    return join(dir, name)
  }
  const now = Date.now()
  const own = makeCertificate(new Date(now - 2 * dayMs), new Date(isExpired ? now - dayMs : now + dayMs))
  const client = makeCertificate(new Date(now - dayMs), new Date(now + dayMs))
  const backend = await startOtlpBackend()
  t.after(() => backend.close())
  const caFile = write('gateway.pem', own.certificate)
  const certFile = write('client.pem', client.certificate)
  const keyFile = write('client.key', client.key)
  const collector = await startCollector({
    config: 'gateway-tls-bearer.yaml',
    dir,
    env: {
      AUDIT_COLLECTOR_BACKEND: backend.url,
      AUDIT_COLLECTOR_CERT_FILE: caFile,
      AUDIT_COLLECTOR_KEY_FILE: write('gateway.key', own.key),
      AUDIT_COLLECTOR_TOKEN_FILE: write('tokens', 'older-token\nright-token # in use since May\n'),
      ...(asksForCertificate ? { AUDIT_COLLECTOR_CLIENT_CA_FILE: certFile } : {}),
    },
  })
  t.after(() => collector.kill())
  return { backend, endpoint: collector.url.replace('http:', 'https:'), caFile, certFile, keyFile }
}

type Options = Omit<Parameters<typeof createOtlpDestination>[0], 'type'>

async function send(t: TestContext, options: Options) {
  const destination = createOtlpDestination({ type: 'otlp', ...options })
  t.after(() => destination.close())
  return destination.send(batchOf(1, 3), t.signal)
}

test('the gateway takes records over TLS with one of its tokens, and passes them on', needed, async (t) => {
  const { backend, endpoint, caFile } = await startGateway(t)
  assert.deepEqual(await send(t, { endpoint, headers: right, tls: { caFile } }), { status: 'delivered' })
  assert.equal(backend.requests.length, 1)
})

const refusals = [
  ['a wrong token', {}, { headers: { Authorization: 'Bearer wrong-token' } }, /HTTP 401/],
  ['no token', {}, {}, /HTTP 401/],
  ['an authority that nobody trusts', {}, { headers: right, tls: {} }, /self-signed/],
  ['an expired certificate', { isExpired: true }, { headers: right }, /certificate has expired/],
  [
    'no client certificate where one is asked for',
    { asksForCertificate: true },
    { headers: right },
    /alert|ECONNRESET|EPIPE/,
  ],
] as const

for (const [what, gateway, options, reason] of refusals) {
  test(`${what} is told, and sent again`, needed, async (t) => {
    const { backend, endpoint, caFile } = await startGateway(t, gateway)
    const delivery = await send(t, { endpoint, tls: { caFile }, ...options })
    assert.equal(delivery.status, 'retry')
    assert.match(delivery.status === 'retry' ? delivery.reason : '', reason)
    assert.equal(backend.requests.length, 0)
  })
}

test('a client certificate is shown where one is asked for', needed, async (t) => {
  const { endpoint, ...tls } = await startGateway(t, { asksForCertificate: true })
  const { caFile, certFile, keyFile } = tls
  const delivery = await send(t, { endpoint, headers: right, tls: { caFile, certFile, keyFile } })
  assert.deepEqual(delivery, { status: 'delivered' })
})
