/** Metrics and health of a trail over real HTTP: who may read them, what they say, and what a stranger leaves behind. */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Registry } from 'prom-client'
import { isReachable, listenPattern } from '../../src/audit/health-server.ts'
import { AuditError, type AuditOptions } from '../../src/index.ts'
import { freshFolder, openAudit } from './opened.ts'

const token = 'a-token-of-the-scraper'

interface Answer {
  readonly status: number
  readonly text: string
}

async function ask(url: string, authorization?: string, method = 'GET'): Promise<Answer> {
  const headers = authorization === undefined ? {} : { authorization }
  const response = await fetch(url, { method, headers })
  return { status: response.status, text: await response.text() }
}

function open(t: TestContext, options: AuditOptions = {}) {
  const folder = freshFolder(t)
  const path = join(folder, 'trail.ndjson')
  const audit = openAudit(folder, { destinations: [{ type: 'file', path }], ...options })
  const refusals = () => {
    const records = readFileSync(path, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
    return records.filter(({ action }) => action === 'auth.failure')
  }
  return { audit, folder, refusals }
}

test('whoever shows the token reads the metrics; everybody else is told nothing and is an event', async (t) => {
  const { audit, refusals } = open(t)
  const { url } = await audit.serve({ listen: '127.0.0.1:0', token })
  audit.emit({ action: 'invoice.delete', operation: 'delete', outcome: 'success' })
  await audit.flush()
  const read = await ask(`${url}/metrics`, `Bearer ${token}`)
  assert.equal(read.status, 200)
  assert.match(read.text, /^audit_log_entries_total\{action="_other",outcome="success"\} 1$/m)
  assert.match(read.text, /^audit_sink_send_duration_seconds_bucket\{le="\+Inf",destination="file"\} \d+$/m)
  assert.match(read.text, /^audit_sink_oldest_record_age_seconds\{destination="file"\} \d/m)
  const wrong = [undefined, `Basic ${token}`, 'Bearer wrong', `Bearer ${token}x`, `Bearer ${token.slice(1)}`]
  for (const shown of wrong) {
    const { status, text } = await ask(`${url}/metrics?a=1`, shown)
    assert.deepEqual([status, text], [401, 'the bearer token is missing or wrong\n'], shown)
  }
  await audit.flush()
  const found = refusals()
  assert.deepEqual(
    found.map(({ details }) => details.reason),
    ['missing', 'malformed', 'wrong_token', 'wrong_token', 'wrong_token'],
  )
  const [{ outcome, operation, actor, request, details }] = found
  assert.deepEqual([outcome, operation, actor.type, request.source_ip], ['denied', 'access', 'anonymous', '127.0.0.1'])
  assert.equal(details.endpoint, '/metrics')
  assert.match(details.remote_address, /^\[redacted\]:\d+$/i)
})

test('a probe needs no token and is told no reason; with the token it is', async (t) => {
  const { audit, refusals } = open(t)
  const { url } = await audit.serve({ listen: '0', token })
  assert.deepEqual(await ask(`${url}/healthz`), { status: 200, text: 'ok\n' })
  assert.deepEqual(await ask(`${url}/readyz`), { status: 200, text: 'ready\n' })
  assert.equal((await ask(`${url}/readyz`, 'Bearer wrong')).status, 401)
  await audit.flush()
  assert.deepEqual(
    refusals().map(({ details }) => details.endpoint),
    ['/readyz'],
  )
})

test('it is not ready while the spool takes nothing, and says why only to whoever may know', async (t) => {
  const { audit } = open(t, {
    spool: { bytesMax: 256 * 1024, onFull: 'refuse' },
    destinations: [],
    policy: { level: 'all' },
  })
  const { url } = await audit.serve({ listen: '0', token })
  for (let at = 0; at < 400 && audit.state.ready; at += 1)
    audit.emit({ action: 'a', details: { text: 'x'.repeat(2_000) } })
  assert.equal(audit.state.spool, 'full')
  assert.deepEqual(await ask(`${url}/readyz`), { status: 503, text: 'not ready\n' })
  const known = await ask(`${url}/readyz`, `Bearer ${token}`)
  assert.equal(known.status, 503)
  assert.match(known.text, /^not ready\nspool .* is full: \d+ bytes of spool\.bytesMax \d+\n$/)
  assert.equal((await ask(`${url}/healthz`)).status, 200)
})

test('without a token whoever reaches it may read, and other paths and methods lead nowhere', async (t) => {
  const { audit } = open(t)
  const { url } = await audit.serve({ listen: '[::1]:0' })
  assert.match(url, /^http:\/\/\[::1\]:\d+$/)
  assert.equal((await ask(`${url}/metrics`, 'Bearer anything')).status, 200)
  assert.equal((await ask(`${url}/`)).status, 404)
  assert.equal((await ask(`${url}/metrics/`)).status, 404)
  assert.equal((await ask(`${url}/metrics`, undefined, 'POST')).status, 405)
  assert.deepEqual(await ask(`${url}/readyz`, undefined, 'HEAD'), { status: 200, text: '' })
})

test('settings open it, with the token from a file, on the registry of the application, until close', async (t) => {
  const { folder } = open(t)
  const tokenFile = join(folder, 'token')
  writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 })
  const registry = new Registry()
  const { audit } = open(t, { metrics: { registry, tokenFile } })
  const { url } = await audit.serve({ listen: '127.0.0.1:0' })
  registry.setDefaultLabels({ app: 'billing' })
  assert.match((await ask(`${url}/metrics`, `Bearer ${token}`)).text, /app="billing"/)
  const { port } = new URL(url)
  const taken = await audit.serve({ listen: `127.0.0.1:${port}` }).catch((error) => error)
  assert.ok(taken instanceof AuditError)
  assert.deepEqual([taken.code, taken.setting], ['INVALID_OPTION', 'metrics.listen'])
  assert.match(taken.message, /EADDRINUSE/)
  await assert.rejects(audit.serve({ listen: 'nowhere' }), {
    code: 'INVALID_OPTION',
    message: 'metrics.listen is "nowhere"; allowed: HOST:PORT or a port, such as 127.0.0.1:9464',
  })
  await audit.close()
  await assert.rejects(fetch(`${url}/healthz`))
  const { audit: again } = open(t, { metrics: { listen: `127.0.0.1:${port}` } })
  for (;;) {
    const answer = await fetch(`${url}/metrics`).catch(() => undefined)
    if (answer !== undefined) {
      assert.equal(answer.status, 200)
      await answer.text()
      break
    }
  }
  await again.close()
})

test('a client that says nothing holds nobody up, and close does not wait for it', async (t) => {
  const { audit } = open(t)
  const { url } = await audit.serve({ listen: '127.0.0.1:0' })
  const silent = connect(Number(new URL(url).port), '127.0.0.1')
  t.after(() => silent.destroy())
  silent.on('error', () => {})
  await new Promise((resolve) => silent.once('connect', resolve))
  assert.equal((await ask(`${url}/healthz`)).status, 200)
  const ended = new Promise((resolve) => silent.once('close', resolve))
  await audit.close()
  await ended
})

test('an address is a host and a port, or a port of this machine', () => {
  for (const good of ['9464', '0', '0.0.0.0:9464', 'localhost:1', '[::]:65535', 'metrics.local:80'])
    assert.match(good, listenPattern)
  for (const bad of ['', ':9464', '65536', '::1:9464', 'a b:1', 'http://x:1', 'host:', 'host'])
    assert.doesNotMatch(bad, listenPattern)
  assert.deepEqual(['9464', '127.0.0.1:1', 'localhost:1', '[::1]:1', '0.0.0.0:1', '[::]:1'].map(isReachable), [
    false,
    false,
    false,
    false,
    true,
    true,
  ])
})
