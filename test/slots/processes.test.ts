/** Eight processes on one directory, killed and restarted at random: nothing is lost, nothing has two contents. */

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseVerifierKey } from '../../src/chain/note.ts'
import { lookAtSlot } from '../../src/forward/orphan.ts'
import { diskFiles } from '../../src/spool/files.ts'
import { spoolDirectories } from '../../src/spool/instances.ts'
import { viewSpool } from '../../src/spool/view.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySources } from '../../src/verify/verify.ts'
import { recordsAt } from '../support/delivered.ts'
import { answer, type OtlpBackend, startOtlpBackend } from '../support/otlp-backend.ts'
import { type Program, startFile } from '../support/program.ts'

const processes = 8
const kills = Number(process.env.AUDIT_TEST_KILLS ?? 10)
const instance = new URL('./instance.ts', import.meta.url)

interface RecordJson {
  readonly id: string
  readonly stream: string
  readonly seq: number
}

/** Runs the fleet through its kills and ends it whole; the ids of all records whose `emit` had returned. */
async function runFleet(t: TestContext, start: () => Program): Promise<{ written: string[]; key: string }> {
  const all = Array.from({ length: processes }, start)
  const opened = await Promise.all(all.map((program) => program.line('opened')))
  assert.equal(new Set(opened.map((line) => line.split(' ')[0])).size, processes, 'each has a slot of its own')
  let running = [...all]
  for (let kill = 0; kill < kills; kill += 1) {
    const program = running[Math.floor(Math.random() * running.length)]
    await program?.line('written')
    await sleep(Math.random() * 100) // the moment of the kill, not a wait for something
    await program?.kill('SIGKILL')
    running = running.filter((one) => one !== program)
    // Two places stay empty for a while, so that some of their slots are adopted and others taken again.
    if (running.length < processes - 2) {
      const next = start()
      running.push(next)
      all.push(next)
    }
  }
  await Promise.all(running.map((program) => program.line('opened')))
  await Promise.all(running.map((program) => program.kill('SIGKILL')))
  const adoptions = all.flatMap((program) => program.complaints.match(/has lost its process/g) ?? []).length
  t.diagnostic(
    `${all.length} processes, ${kills} killed under way and ${running.length} at the end; ${adoptions} slots adopted`,
  )
  return { written: all.flatMap((program) => program.all('written')), key: opened[0]?.split(' ')[1] ?? '' }
}

const waitMsMax = 120_000

/** Waits until all that was written has arrived and no slot but the survivor's own owes anything; then ends it. */
async function untilDrained(parent: string, { survivor, missing }: { survivor: Program; missing: Set<string> }) {
  const own = (await survivor.line('opened')).split(' ')[0] ?? ''
  const slots = spoolDirectories(diskFiles, parent).filter((slot) => !slot.endsWith(own))
  const owes = (slot: string) =>
    lookAtSlot(diskFiles, slot, { deployment: 'fleet', names: ['otlp', 'file'] })?.owed.length !== 0
  for (let waitedMs = 0; waitedMs < waitMsMax && (missing.size > 0 || slots.some(owes)); waitedMs += 50) await sleep(50)
  survivor.say('close')
  assert.equal((await survivor.ended).code, 0, survivor.complaints)
}

/** By id; the same id always with the same bytes, the same number never with another id. */
function byId(records: readonly string[]): Map<string, string> {
  const found = new Map<string, string>()
  const places = new Map<string, string>()
  for (const record of records) {
    const { id, stream, seq } = JSON.parse(record) as RecordJson
    assert.equal(found.get(id) ?? record, record)
    assert.equal(places.get(`${stream} ${seq}`) ?? id, id, `sequence ${seq} of ${stream} has one content`)
    found.set(id, record)
    places.set(`${stream} ${seq}`, id)
  }
  return found
}

/** Every stream begins at 1 and lacks nothing up to its last record. */
function checkGapFree(records: Iterable<string>): number {
  const sequences = new Map<string, number[]>()
  for (const record of records) {
    const { stream, seq } = JSON.parse(record) as RecordJson
    sequences.set(stream, [...(sequences.get(stream) ?? []), seq])
  }
  for (const [stream, found] of sequences) {
    assert.deepEqual(
      found.toSorted((a, b) => a - b),
      found.map((_, at) => at + 1),
      `stream ${stream} has no gap`,
    )
  }
  return sequences.size
}

function linesOf(parent: string): string[] {
  const files = readdirSync(parent).filter((name) => name.endsWith('.ndjson'))
  return files.flatMap((name) => readFileSync(join(parent, name), 'utf8').split('\n').slice(0, -1))
}

function recordsInSlots(parent: string): string[] {
  const slots = spoolDirectories(diskFiles, parent)
  return slots.flatMap((slot) => [...viewSpool(diskFiles, slot).records()].map((record) => record.bytes.toString()))
}

async function verifySlots(parent: string, key: string): Promise<void> {
  const verifier = parseVerifierKey(key)
  assert.ok(verifier !== undefined && 'keyId' in verifier)
  const sources = await Promise.all(spoolDirectories(diskFiles, parent).map((slot) => openSource(slot)))
  const report = await verifySources(sources, { verifiers: [verifier], allowUnanchored: true })
  assert.deepEqual(
    report.sources.flatMap((source) => source.findings),
    [],
  )
  assert.equal(report.exitCode, 0)
}

/** Refuses one request in ten; calls back with the ids of each one that it takes. */
function mostlyAvailable(backend: OtlpBackend, take: (id: string) => void): void {
  const accept = answer(200)
  const refuse = answer(503)
  backend.respond = (response, request) => {
    if (Math.random() < 0.1) {
      backend.requests.splice(backend.requests.indexOf(request), 1) // it has not taken them
      return refuse(response, request)
    }
    for (const record of recordsAt({ requests: [request] })) take((JSON.parse(record) as RecordJson).id)
    accept(response, request)
  }
}

test(`${processes} processes share a directory through ${kills} kills: each record is delivered, each stream verifies`, {
  timeout: 300_000,
}, async (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'otel-audit-slots-'))
  t.after(() => rmSync(parent, { recursive: true, force: true }))
  const backend = await startOtlpBackend()
  t.after(() => backend.close())
  const taken = new Set<string>()
  const missing = new Set<string>()
  mostlyAvailable(backend, (id) => {
    taken.add(id)
    missing.delete(id)
  })

  const { written, key } = await runFleet(t, () => startFile(t, instance, parent, backend.url))
  assert.ok(written.length > kills * 10, 'they were under load')
  for (const id of written) if (!taken.has(id)) missing.add(id)
  const survivor = startFile(t, instance, parent, backend.url, '0')
  await untilDrained(parent, { survivor, missing })

  const sent = recordsAt(backend)
  const delivered = byId(sent)
  const kept = byId(recordsInSlots(parent))
  const lines = linesOf(parent)
  const filed = byId(lines)
  for (const id of written) {
    assert.ok(kept.has(id), `${id} is in a slot`)
    assert.equal(delivered.get(id), kept.get(id), `${id} is at the backend, as it was sealed`)
    assert.equal(filed.get(id), kept.get(id), `${id} is in a file, as it was sealed`)
  }
  assert.equal(lines.length, filed.size, 'nothing stands twice in the files')
  for (const id of [...delivered.keys(), ...filed.keys()]) assert.ok(kept.has(id), 'nothing was seen that is not kept')
  checkGapFree(delivered.values())
  const streams = checkGapFree(kept.values())
  await verifySlots(parent, key)
  const slots = spoolDirectories(diskFiles, parent).length
  assert.ok(slots <= 2 * processes, `${slots} slots`)
  t.diagnostic(
    `${written.length} written, ${kept.size} kept, ${sent.length} sent, ${streams} streams in ${slots} slots`,
  )
})
