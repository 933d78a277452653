/** `otel-audit forward`: what it refuses, and what it needs. Delivery itself is tested in `test/sidecar`. */

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { destinationOfOperations } from '../../src/cli/forward-operations.ts'
import { freshFolder, openAudit } from '../audit/opened.ts'
import { runCli } from './run.ts'

function configIn(folder: string, options: object): string {
  const path = join(folder, 'audit.json')
  writeFileSync(path, JSON.stringify(options))
  return path
}

async function refusal(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await runCli(['forward', ...argv], env)
  assert.deepEqual([exitCode, stdout], [2, ''], stderr)
  return stderr
}

const file = (folder: string) => ({ destinations: [{ type: 'file', path: join(folder, 'trail.ndjson') }] })

test('what is missing or cannot be meant is refused with what to do', async (t) => {
  const folder = freshFolder(t)
  const spool = join(folder, 'spool')
  assert.match(await refusal([]), /--spool is missing/)
  assert.match(await refusal(['--spool', spool]), /no destination is named\n {2}hint: Give --config FILE/)
  assert.match(await refusal(['--spool', spool, '--config', join(folder, 'none.json')]), /--config .*does not exist/)
  const config = configIn(folder, file(folder))
  assert.match(await refusal(['--spool', spool, '--config', config, '--once']), /holds no spool/)
  const wrong = configIn(folder, { destinations: [{ type: 'flie' }] })
  assert.match(await refusal(['--spool', spool, '--config', wrong]), /destinations\[0\]\.type/)
  const printing = configIn(folder, { destinations: [{ type: 'stdout' }] })
  assert.match(await refusal(['--spool', spool, '--config', printing, '--json']), /a destination is stdout/)
})

/** A closed spool with one event that nobody has delivered. */
async function undelivered(t: TestContext): Promise<{ folder: string; spool: string }> {
  const folder = freshFolder(t)
  const audit = openAudit(folder, { delivery: 'external', closeTimeoutMs: 0 })
  audit.emit({ action: 'app.test' })
  await audit.close()
  return { folder, spool: join(folder, 'spool') }
}

test('--once delivers what is there, by FILE or by the environment, and says how much', async (t) => {
  const { folder, spool } = await undelivered(t)
  const path = join(folder, 'trail.ndjson')
  const config = configIn(folder, file(folder))
  const first = await runCli(['forward', '--spool', spool, '--config', config, '--once'])
  assert.equal(first.exitCode, 0, first.stderr)
  assert.match(first.stdout, /spool: file: 4 records delivered; 0 records to go\n/)
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  assert.equal(lines.length, 4)
  const env = { AUDIT_LOG_DESTINATION: 'file', AUDIT_LOG_FILE_PATH: path }
  const again = await runCli(['forward', '--spool', spool, '--once', '--json'], env)
  assert.equal(again.exitCode, 0, again.stderr)
  const events = again.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string })
  assert.deepEqual(
    events.map(({ event }) => event),
    ['delivering', 'ended'],
  )
  assert.equal(readFileSync(path, 'utf8').split('\n').length - 1, 4, 'nothing comes twice')
})

test('slots that would write one file are refused', async (t) => {
  const { folder, spool } = await undelivered(t)
  const slots = join(folder, 'slots')
  mkdirSync(join(slots, 'slot-0001'), { recursive: true })
  writeFileSync(join(slots, 'slot-0001', 'control'), readFileSync(join(spool, 'control')))
  const config = configIn(folder, file(folder))
  assert.match(await refusal(['--spool', slots, '--config', config]), /destinations\[0\]\.path has no \{slot\}/)
})

test('the operations stream writes a file of its own', () => {
  const pathOf = (path: string) => {
    const own = destinationOfOperations({ type: 'file', path })
    return own.type === 'file' ? own.path : undefined
  }
  assert.equal(pathOf('/var/log/audit.ndjson'), '/var/log/audit.operations.ndjson')
  assert.equal(pathOf('/var/log/audit'), '/var/log/audit.operations')
  assert.equal(pathOf('/var/log/{slot}.ndjson'), '/var/log/operations.ndjson')
  assert.deepEqual(destinationOfOperations({ type: 'stdout' }), { type: 'stdout' })
})
