import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAudit } from '../../src/index.ts'
import { recordsAt } from '../support/delivered.ts'
import { type OtlpBackend, startOtlpBackend } from '../support/otlp-backend.ts'
import { type Ended, runCli } from './run.ts'

/** A back end that answers 400 to every request that holds this word. */
async function startChoosyBackend(t: TestContext, word: string): Promise<OtlpBackend & { isChoosy: boolean }> {
  const backend = await startOtlpBackend()
  t.after(() => backend.close())
  const choosy = Object.assign(backend, { isChoosy: true })
  backend.respond = (response, { body }) => {
    response.statusCode = choosy.isChoosy && body.includes(word) ? 400 : 200
    response.setHeader('content-type', 'application/json')
    response.end('{}')
  }
  return choosy
}

function openTrail(t: TestContext, backend: OtlpBackend) {
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-quarantine-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const directory = join(folder, 'spool')
  const open = () =>
    createAudit({
      service: 'shop',
      policy: { level: 'all' },
      spool: { directory },
      keys: { signingKeyFile: join(folder, 'audit.key') },
      destinations: [{ type: 'otlp', endpoint: backend.url, protocol: 'http/json', flushIntervalMs: 20 }],
    })
  return { directory, open }
}

interface Listed {
  readonly runs: readonly {
    readonly id: string
    readonly kind: string
    readonly from: number
    readonly asked?: string
  }[]
}

function listed({ stdout }: Ended): Listed['runs'] {
  return (JSON.parse(stdout) as Listed).runs
}

/** The details of the only sealed record of this type. */
async function factIn(directory: string, type: string): Promise<Record<string, unknown>> {
  const { stdout } = await runCli(['spool', 'export', directory])
  const records = stdout.trimEnd().split('\n')
  const facts = records.map((text) => JSON.parse(text)).filter(({ event_type }) => event_type === type)
  assert.equal(facts.length, 1, type)
  return facts[0].details
}

test('a poison record is listed, shown, sent again when the destination takes it, and each step is sealed', async (t) => {
  const backend = await startChoosyBackend(t, 'unwanted')
  const { directory, open } = openTrail(t, backend)
  const audit = open()
  t.after(() => audit.close())
  for (let index = 0; index < 20; index++) {
    audit.emit({ action: 'order.place', details: { note: index === 7 ? 'unwanted' : `order ${index}` } })
  }
  await audit.flush()
  assert.equal(audit.state.destinations[0]?.quarantined, 1)
  const list = await runCli(['quarantine', 'list', directory, '--json'])
  const [run] = listed(list)
  assert.ok(run)
  assert.deepEqual([list.exitCode, listed(list).length, run.kind], [1, 1, 'poison'])
  const shown = await runCli(['quarantine', 'show', directory, run.id])
  const { reason, record } = JSON.parse(shown.stdout)
  assert.match(reason, /400/)
  assert.equal(JSON.parse(record).details.note, 'unwanted')

  const refused = await runCli(['quarantine', 'retry', directory, run.id])
  assert.equal(refused.exitCode, 1, refused.stderr)
  assert.match(refused.stdout, /refused again: .*400/)
  backend.isChoosy = false
  backend.requests.length = 0
  const retried = await runCli(['quarantine', 'retry', directory, run.id, '--why', 'limit raised', '--operator', 'ann'])
  assert.equal(retried.stdout, `${run.id}  delivered\n`)
  assert.ok(recordsAt(backend).includes(record), 'as it was sealed')
  assert.equal((await runCli(['quarantine', 'list', directory])).stdout, 'the quarantine is empty\n')

  await audit.close()
  const { stream, seq } = JSON.parse(record)
  const place = { destination: 'otlp', stream, seq }
  const { hash, ...said } = await factIn(directory, 'audit.quarantined')
  assert.deepEqual(said, { ...place, reason: said.reason })
  assert.match(String(said.reason), /^POISON: .*400/)
  const outcome = { resolution: 'delivered', operator: 'ann', why: 'limit raised' }
  assert.deepEqual(await factIn(directory, 'audit.quarantine.resolved'), { ...place, hash, ...outcome })
})

test('a decision that nobody was there to carry out is carried out by the next process', async (t) => {
  const backend = await startChoosyBackend(t, 'unwanted')
  const { directory, open } = openTrail(t, backend)
  const first = open()
  first.emit({ action: 'order.place', details: { note: 'unwanted' } })
  await first.flush()
  await first.close()
  const [run] = listed(await runCli(['quarantine', 'list', directory, '--json']))
  assert.ok(run)
  const asked = await runCli(['quarantine', 'discard', directory, run.id, '--why', 'test', '--wait', '0', '--json'])
  assert.deepEqual([asked.exitCode, JSON.parse(asked.stdout)], [0, { runs: [{ id: run.id, outcome: 'asked' }] }])
  assert.equal(listed(await runCli(['quarantine', 'list', directory, '--json']))[0]?.asked, 'discard')

  const second = open()
  const again = await runCli(['quarantine', 'discard', directory, run.id, '--why', 'test', '--operator', 'ben'])
  assert.ok(
    again.stdout === `${run.id}  discarded\n` || /no run is named/.test(again.stderr),
    again.stdout + again.stderr,
  )
  await second.close()
  const details = await factIn(directory, 'audit.quarantine.resolved')
  assert.deepEqual([details.resolution, details.why], ['discarded', 'test'])
  assert.equal((await runCli(['quarantine', 'list', directory])).exitCode, 0)
})

test('what cannot be meant is refused with the argument and what to do', async (t) => {
  const backend = await startChoosyBackend(t, 'unwanted')
  const { directory, open } = openTrail(t, backend)
  await open().close()
  const rows: [string[], RegExp][] = [
    [['list'], /DIR is missing/],
    [['list', join(directory, 'nowhere')], /is not a directory/],
    [['show', directory], /no run is named .*\n.*quarantine list/],
    [['show', directory, 'abcdef'], /no run is named abcdef/],
    [['retry', directory, 'abcdef', '--wait', 'soon'], /no run is named abcdef/],
    [['discard', directory, 'abcdef'], /no run is named abcdef/],
  ]
  for (const [argv, message] of rows) {
    const { exitCode, stderr } = await runCli(['quarantine', ...argv])
    assert.equal(exitCode, 2, argv.join(' '))
    assert.match(stderr, message)
  }
})
