import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createReadStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { diskFiles } from '../../src/spool/files.ts'
import { openReader } from '../../src/spool/settle.ts'

const kills = Number(process.env.AUDIT_TEST_KILLS ?? 20)
interface StoredJson {
  readonly id: string
  readonly event_type: string
  readonly details?: { readonly previous_end?: string }
}

const writer = new URL('./writer.ts', import.meta.url).pathname

/**
 * Runs the writer and kills it with SIGKILL at a random moment of its load: in even runs counted from the first record
 * (the threads are still starting), in odd ones from the first durable one. Returns what it had printed by then.
 */
async function runAndKill(directory: string, run: number): Promise<{ written: string[]; durable: string[] }> {
  const child = spawn(process.execPath, [writer, directory, String(run)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let complaints = ''
  const opened = Promise.withResolvers<void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (output.includes(run % 2 === 0 ? 'written ' : 'durable ')) opened.resolve()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once('close', (_code, signal) => resolve(signal)))
  await Promise.race([opened.promise, ended])
  await sleep(Math.random() * 120) // the moment of the kill, not a wait for something
  child.kill('SIGKILL')
  assert.equal(await ended, 'SIGKILL', complaints)
  const lines = output.slice(0, output.lastIndexOf('\n') + 1).split('\n')
  const ids = (kind: string) => lines.filter((line) => line.startsWith(kind)).map((line) => line.split(' ')[1] ?? '')
  return { written: ids('written '), durable: ids('durable ') }
}

test(`every record whose emit returned is in the spool after SIGKILL, ${kills} times`, {
  timeout: 300_000,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-kill-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const directory = join(folder, 'spool')
  const acknowledged = { written: [] as string[], durable: [] as string[] }
  for (let run = 0; run < kills; run += 1) {
    const { written, durable } = await runAndKill(directory, run)
    acknowledged.written.push(...written)
    acknowledged.durable.push(...durable)
  }
  assert.ok(acknowledged.written.length > kills * 20, 'the writer was under load when it was killed')
  assert.ok(acknowledged.durable.length > 0)

  const found = new Map<string, number>()
  const last = new Map<string, number>()
  const ends: string[] = []
  const reader = openReader(diskFiles, directory)
  for (
    let records = reader.next({ records: 500, bytes: 2 ** 20 });
    records.length > 0;
    records = reader.next({ records: 500, bytes: 2 ** 20 })
  ) {
    for (const record of records) {
      const { id, event_type, details } = JSON.parse(record.bytes.toString()) as StoredJson
      if (event_type === 'audit.stream.opened') ends.push(String(details?.previous_end))
      found.set(id, (found.get(id) ?? 0) + 1)
      assert.equal(record.sequence, (last.get(record.stream) ?? 0) + 1, 'sequences have no gap')
      last.set(record.stream, record.sequence)
    }
  }
  reader.close()
  for (const id of [...acknowledged.written, ...acknowledged.durable]) assert.equal(found.get(id), 1, `record ${id}`)

  assert.deepEqual(
    ends,
    ['none', ...Array.from({ length: kills - 1 }, () => 'crash')],
    'each opening says how the one before ended',
  )

  const delivered = createInterface({ input: createReadStream(join(folder, 'spool.ndjson')) })
  const lines = new Set<string>()
  let whole: string | undefined // one line behind: the last may be cut off by the last kill
  for await (const line of delivered) {
    const { id } = whole === undefined ? { id: undefined } : (JSON.parse(whole) as StoredJson)
    assert.ok(id === undefined || found.has(id), 'nothing was delivered that the spool lacks')
    assert.ok(id === undefined || !lines.has(id), 'nothing stands twice in the file')
    if (id !== undefined) lines.add(id)
    whole = line
  }
  t.diagnostic(
    `${kills} kills, ${acknowledged.written.length} written, ${acknowledged.durable.length} durable, ${found.size} found, ${last.size} streams`,
  )
})
