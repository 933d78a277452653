/** Proofs from an archive: the same claims as from a file, from a handful of tiles. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { type ArchiveStore, openFolder } from '../../src/archive/store.ts'
import { checkProof } from '../../src/verify/proof.ts'
import { createProof } from '../../src/verify/prove.ts'
import { createArchiveSource } from '../../src/verify/sources/archive.ts'
import { makeTimedTrail } from '../support/timed-trail.ts'
import { makeKeys, makeTrail } from '../support/trail.ts'
import { craftArchive } from '../tamper/crafted-archive.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-prove-archive-'))
after(() => rmSync(folder, { recursive: true }))
const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const { lines } = makeTrail({ stream, keys, records: 1_300, interval: 200 })
craftArchive(folder, lines)

it('every record proves, in its own tile and in those above', async () => {
  for (const sequence of [1, 2, 255, 256, 257, 512, 700, 1_024, 1_025, 1_280, lines.length - 2, lines.length - 1]) {
    const created = await createProof(createArchiveSource(openFolder(folder)), { sequence }, [keys.verifier])
    assert.ok(created.problem === undefined, `${sequence}: ${JSON.stringify(created)}`)
    assert.deepEqual([created.size, created.deployment], [lines.length - 1, 'prod'])
    assert.equal(created.record.toString(), lines[sequence - 1])
    assert.equal(checkProof(created.proof, created.record, [keys.verifier]).problem, undefined)
  }
})

it('few files are read, however long the stream is', async () => {
  const { store, read } = countReads(folder)
  await createProof(createArchiveSource(store), { sequence: 700, stream }, [keys.verifier])
  assert.ok(new Set(read).size <= 6, [...new Set(read)].join(' '))
})

it('an id leads to its record by the time in it, and is looked for everywhere else when it does not', async () => {
  const timed = makeTimedTrail({ stream, keys, records: 6_000 })
  const archive = join(folder, 'timed')
  craftArchive(archive, timed.lines)
  const { store, read } = countReads(archive)
  const created = await createProof(createArchiveSource(store), { id: timed.idOf(4_321) }, [keys.verifier])
  assert.equal(created.problem === undefined && created.sequence, 4_321)
  const records = new Set(read.filter((path) => path.includes('entries')))
  assert.ok(records.size <= 10, `${records.size} of 24 tiles of records were read`)
  const stray = await createProof(createArchiveSource(store), { id: timed.stray.id }, [keys.verifier])
  assert.equal(stray.problem === undefined && stray.sequence, timed.stray.sequence)
})

function countReads(directory: string): { readonly store: ArchiveStore; readonly read: string[] } {
  const store = openFolder(directory)
  const read: string[] = []
  const counting = (path: string) => {
    read.push(path)
    return store.read(path)
  }
  return { store: { ...store, read: counting }, read }
}

it('what the checkpoint does not cover, and what no key vouches for, has none', async () => {
  const problem = async (sequence: number, believed = [keys.verifier]) =>
    (await createProof(createArchiveSource(openFolder(folder)), { sequence }, believed)).problem
  assert.equal(await problem(lines.length), 'uncovered')
  assert.equal(await problem(5, [makeKeys('prod', 2).verifier]), 'uncovered')
})

it('an archive that was edited proves nothing', async () => {
  const edited = join(folder, 'edited')
  craftArchive(edited, lines.with(699, lines[699]?.replace('u-', 'v-') ?? ''))
  const created = await createProof(createArchiveSource(openFolder(edited)), { sequence: 700 }, [keys.verifier])
  assert.equal(created.problem, 'damaged')
})
