/** Proofs from a spool and a database: the same as from a file, without reading more than what is around the record. */

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { Frontier } from '../../src/chain/merkle.ts'
import { withConnection } from '../../src/postgres/client.ts'
import { migrateUp } from '../../src/postgres/migrate.ts'
import { decodeSegmentHeader, encodeSegmentFrontier, encodeSegmentHeader } from '../../src/spool/segment-header.ts'
import { checkProof } from '../../src/verify/proof.ts'
import { createProof } from '../../src/verify/prove.ts'
import type { Source } from '../../src/verify/source.ts'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { createPostgresSource } from '../../src/verify/sources/postgres.ts'
import { createSpoolSource } from '../../src/verify/sources/spool.ts'
import { databaseFor } from '../support/postgres.ts'
import { makeTimedTrail } from '../support/timed-trail.ts'
import { leafOf, makeKeys, makeTrail, toNdjson } from '../support/trail.ts'
import { craftSpool } from '../tamper/crafted-spool.ts'
import { fillDatabase } from '../tamper/database-copy.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-prove-near-'))
after(() => rmSync(folder, { recursive: true }))
const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
/** More than a megabyte: the segment is halved before it is read. */
const { lines } = makeTrail({ stream, keys, records: 1_800, interval: 150 })
const verifiers = [keys.verifier]
const sequences = [1, 2, 149, 150, 151, 900, 1_234, lines.length - 2, lines.length - 1]
const proofs = new Map<number, string>()

before(async () => {
  craftSpool(folder, lines)
  const file = createNdjsonSource('copy', async function* () {
    yield Buffer.from(toNdjson(lines))
  })
  for (const sequence of sequences) {
    const created = await createProof(file, { sequence }, verifiers)
    assert.ok(created.problem === undefined, JSON.stringify(created))
    proofs.set(sequence, created.proof)
  }
})

/** The source, refusing to be read as a whole. */
function withoutReading(source: Source): Source {
  const read = () => assert.fail('the whole source is read')
  const { during } = source
  return { ...source, read, ...(during && { during: (use) => during((one) => use(withoutReading(one))) }) }
}

async function assertProves(source: Source): Promise<void> {
  for (const sequence of sequences) {
    const created = await createProof(source, { sequence, stream: sequence % 2 === 0 ? stream : undefined }, verifiers)
    assert.ok(created.problem === undefined, `${sequence}: ${JSON.stringify(created)}`)
    assert.equal(created.proof, proofs.get(sequence))
    assert.equal(checkProof(created.proof, created.record, verifiers).problem, undefined)
  }
}

it('from a spool are those from a file, and no more than a window of it is read', async () => {
  await assertProves(withoutReading(createSpoolSource(folder)))
})

it('from a database are those from a file, by number and by id', async (t) => {
  const url = await databaseFor(t)
  await withConnection({ url }, async (connection) => {
    await migrateUp(connection)
    await connection.query("select audit.ensure_partition('2026-01-02T03:04:05Z')")
    await fillDatabase(connection, lines)
  })
  const source = withoutReading(createPostgresSource(url))
  await assertProves(source)
  const { id } = JSON.parse(lines[1_233] ?? '')
  const created = await createProof(source, { id }, verifiers)
  assert.equal(created.problem === undefined && created.proof, proofs.get(1_234))
  const timed = makeTimedTrail({ stream, keys, records: 1_500 })
  await withConnection({ url }, (connection) => fillDatabase(connection, timed.lines))
  for (const [id, sequence] of [
    [timed.idOf(601), 601],
    [timed.stray.id, timed.stray.sequence],
  ] as const) {
    const found = await createProof(source, { id }, verifiers)
    assert.equal(found.problem === undefined && found.sequence, sequence, JSON.stringify(found))
  }
})

it('of a record that is not found near where it should be are looked for in the whole copy', async () => {
  const damaged = join(folder, 'damaged')
  craftSpool(damaged, lines)
  const segment = join(damaged, 'seg-00000001.wal')
  const bytes = readFileSync(segment)
  bytes[bytes.indexOf('"seq":1234,') + 6] = 0x39
  writeFileSync(segment, bytes)
  const refused = await createProof(createSpoolSource(damaged), { sequence: 1_234 }, verifiers)
  assert.equal(refused.problem, 'not_found')
  const { id } = JSON.parse(lines[1_233] ?? '')
  assert.equal((await createProof(createSpoolSource(damaged), { id }, verifiers)).problem, 'not_found')
  const unharmed = await createProof(withoutReading(createSpoolSource(damaged)), { sequence: 900 }, verifiers)
  assert.equal(unharmed.problem === undefined && unharmed.proof, proofs.get(900))
})

it('from a spool are found by the time in an id, and by reading it where that leads nowhere', async () => {
  const timed = makeTimedTrail({ stream, keys, records: 1_500 })
  const spool = join(folder, 'timed')
  craftSpool(spool, timed.lines)
  const source = withoutReading(createSpoolSource(spool))
  for (const sequence of [2, 601, 1_201]) {
    const created = await createProof(source, { id: timed.idOf(sequence) }, verifiers)
    assert.equal(created.problem === undefined && created.sequence, sequence, JSON.stringify(created))
  }
  const early = await createProof(createSpoolSource(spool), { id: timed.stray.id }, verifiers)
  assert.equal(early.problem === undefined && early.sequence, timed.stray.sequence)
  const unknown = await createProof(createSpoolSource(spool), { id: timed.idOf(9_999) }, verifiers)
  assert.equal(unknown.problem, 'not_found')
})

it('from a spool whose beginning has been reclaimed start from the tree that a segment states', async () => {
  const reclaimed = join(folder, 'reclaimed')
  craftSpool(reclaimed, lines.slice(1_000))
  const path = join(reclaimed, 'seg-00000001.wal')
  const segment = readFileSync(path)
  const header = decodeSegmentHeader(segment)
  assert.ok(header.ok)
  const tree = new Frontier()
  for (const line of lines.slice(0, 1_000)) tree.append(leafOf(line))
  const previousHash = leafOf(lines[999] ?? '')
  encodeSegmentHeader({ ...header.header, kind: 'explicit', base: 1_001, previousHash }).copy(segment)
  const stated = { base: 1_001, previousHash, hashes: tree.hashes(), frameCrc: 0, writtenMs: 1 }
  const block = encodeSegmentFrontier(stated)
  block.bytes.copy(segment, block.offset)
  writeFileSync(path, segment)
  // Between the record and the first one that is left stands no checkpoint.
  const created = await createProof(createSpoolSource(reclaimed), { sequence: 1_010 }, verifiers)
  assert.ok(created.problem === undefined, JSON.stringify(created))
  assert.equal(checkProof(created.proof, created.record, verifiers).problem, undefined)
  segment.fill(0, 512, 1_024)
  writeFileSync(path, segment)
  const refused = await createProof(createSpoolSource(reclaimed), { sequence: 1_010 }, verifiers)
  assert.equal(refused.problem, 'incomplete')
})

it('from a spool read on below the record where its checkpoints are far apart', async () => {
  const sparse = makeTrail({ stream, keys, records: 2_100, interval: 700 })
  const spool = join(folder, 'sparse')
  craftSpool(spool, sparse.lines)
  const created = await createProof(withoutReading(createSpoolSource(spool)), { sequence: 1_390 }, verifiers)
  assert.ok(created.problem === undefined, JSON.stringify(created))
  assert.equal(checkProof(created.proof, created.record, verifiers).problem, undefined)
})

it('a spool hands over what was sealed between two times, of every stream', async () => {
  const [first, second] = [stream, '019b7c2f-2222-7000-8000-000000000002'].map((one) =>
    makeTimedTrail({ stream: one, keys, records: 1_500 }),
  )
  const spool = join(folder, 'two')
  craftSpool(spool, [...(first?.lines ?? []), ...(second?.lines ?? [])])
  const range = { from: '2026-01-02T03:19:59.500000Z', to: '2026-01-02T03:20:04.500000Z' }
  const sealed: string[] = []
  let read = 0
  for await (const group of createSpoolSource(spool).readSealed?.(range) ?? []) {
    for (const one of group) {
      const { recorded, stream: own } = JSON.parse(one.damage === undefined ? Buffer.from(one.bytes).toString() : '{}')
      read += 1
      if (recorded >= range.from && recorded < range.to) sealed.push(`${own.slice(9, 13)} ${recorded.slice(17, 19)}`)
    }
  }
  const seconds = ['00', '01', '02', '03', '04']
  assert.deepEqual(sealed, [...seconds.map((one) => `1111 ${one}`), ...seconds.map((one) => `2222 ${one}`)])
  assert.ok(read < 2_400, `${read} of 3,000 records were read`)
})
