/** Metrics and health of the sidecar over real HTTP, beside an application that it delivers for. */

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { reasonsAgainstSidecar } from '../../src/cli/forward-health.ts'
import { nowMs } from '../../src/clock.ts'
import type { ForwarderState } from '../../src/forward/standing.ts'
import { runCli } from '../cli/run.ts'
import { Fleet, recordsOf, until } from './fleet.ts'

const token = 'a-token-of-the-scraper'

async function ask(url: string, authorization?: string): Promise<{ status: number; text: string }> {
  const response = await fetch(url, { headers: authorization === undefined ? {} : { authorization } })
  return { status: response.status, text: await response.text() }
}

test('a sidecar shows what it delivers, and whether it does; who has no token is recorded beside the trail', async (t) => {
  const fleet = new Fleet(t, (folder) => ({
    destinations: [{ type: 'file', path: join(folder, 'trail.ndjson') }],
    metrics: { token, listen: '127.0.0.1:1' }, // the application's: the sidecar does not take it
  }))
  const sidecar = fleet.sidecar('--listen', '127.0.0.1:0')
  const { url } = JSON.parse(`{${await sidecar.line('{"event":"listening",')}`) as { url: string }
  const waiting = await ask(`${url}/readyz`, `Bearer ${token}`)
  assert.deepEqual(waiting, { status: 503, text: `not ready\nno spool was found yet in ${fleet.spool}\n` })
  assert.equal((await ask(`${url}/healthz`)).status, 200)
  const application = fleet.application({ metrics: {} })
  const trail = join(fleet.folder, 'trail.ndjson')
  await until(() => existsSync(trail) && recordsOf(trail).length > 0, 'records are delivered')
  assert.deepEqual(await ask(`${url}/readyz`), { status: 200, text: 'ready\n' })
  const { text } = await ask(`${url}/metrics`, `Bearer ${token}`)
  const delivered = /^audit_sink_records_total\{destination="file",result="delivered"\} (\d+)$/m.exec(text)?.[1]
  assert.ok(Number(delivered) > 0, text)
  assert.match(text, /^audit_sink_backlog_records\{destination="file"\} \d+$/m)
  for (const name of ['audit_quarantined_records_total', 'audit_log_sink_errors_total'])
    assert.match(text, new RegExp(`^${name}\\{destination="file"\\} 0$`, 'm'))
  assert.match(text, /^audit_sink_send_duration_seconds_count\{destination="file"\} [1-9]/m)
  assert.equal((await ask(`${url}/metrics`, 'Bearer guessed')).status, 401)
  const operations = join(fleet.folder, 'trail.operations.ndjson')
  await until(() => existsSync(operations) && recordsOf(operations).some(isRefusal), 'the refusal is delivered')
  const refusal = recordsOf(operations).find(isRefusal)
  assert.deepEqual([refusal?.details?.endpoint, refusal?.details?.reason], ['/metrics', 'wrong_token'])
  await application.kill('SIGKILL')
  await sidecar.kill('SIGTERM')
})

function isRefusal({ action }: { readonly action: string }): boolean {
  return action === 'auth.failure'
}

test('a port that is taken stops it at once', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const env = { AUDIT_LOG_DESTINATION: 'stdout', AUDIT_METRICS_LISTEN: `127.0.0.1:${port}` }
  const taken = await runCli(['forward', '--spool', './nowhere'], env)
  assert.equal(taken.exitCode, 2)
  assert.match(taken.stderr, /--listen: cannot listen at 127\.0\.0\.1:\d+: .*EADDRINUSE|cannot listen at .*EADDRINUSE/)
})

test('what fails for a minute makes it unready, what fails in passing or is delivered elsewhere does not', () => {
  const state = (more: Partial<ForwarderState>): ForwarderState => {
    const nothing = { confirmed: undefined, delivered: 0, quarantined: 0, failures: 0, backlog: 0 }
    return { name: 'otlp', condition: 'ok', ...nothing, ...more }
  }
  const failing = (seconds: number) =>
    state({ condition: 'failing', lastError: 'ECONNREFUSED', since: nowMs() - seconds * 1_000 })
  const spool = (isDelivering: boolean, one: ForwarderState) => [
    { directory: 'spool', isDelivering, destinations: [one] },
  ]
  assert.deepEqual(reasonsAgainstSidecar('spool', spool(true, state({}))), [])
  assert.deepEqual(reasonsAgainstSidecar('spool', spool(true, failing(59))), [])
  assert.deepEqual(reasonsAgainstSidecar('spool', spool(true, failing(61))), [
    'destination otlp of spool takes nothing: ECONNREFUSED',
  ])
  assert.deepEqual(reasonsAgainstSidecar('spool', spool(false, state({ condition: 'elsewhere' }))), [])
})
