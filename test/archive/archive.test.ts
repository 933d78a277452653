/** Archives of tiles: what a checker of another make says of them, what a crash leaves, what is refused. */

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { archiveRecords } from '../../src/archive/archive.ts'
import { type ArchiveStore, openFolder } from '../../src/archive/store.ts'
import type { StreamOutcome } from '../../src/archive/stream-archive.ts'
import { entriesPath, TileTree, tilePath } from '../../src/archive/tiles.ts'
import { leafHash } from '../../src/chain/hash.ts'
import { Frontier } from '../../src/chain/merkle.ts'
import { createArchiveSource } from '../../src/verify/sources/archive.ts'
import { openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { checkLog, fsckAbsent, fsckBinary } from '../parts/fsck.ts'
import { makeKeys, makeTrail, rechain } from '../support/trail.ts'

const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const lines = makeTrail({ stream, keys, records: 900, interval: 100 }).lines
const origin = `prod/${stream}`

function folder(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-archive-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

async function* recordsOf(from: readonly string[], shuffle = (list: readonly string[]) => list) {
  const records = from.map((line) => ({ stream, sequence: JSON.parse(line).seq as number, line }))
  const order = shuffle(records.map(({ line }) => line))
  yield order.map((line) => ({ stream, sequence: JSON.parse(line).seq as number, bytes: Buffer.from(line) }))
}

async function archive(store: ArchiveStore, from: readonly string[], order?: (list: readonly string[]) => string[]) {
  const [outcome] = await archiveRecords(recordsOf(from, order), { store, verifiers: [keys.verifier] })
  return outcome as StreamOutcome
}

async function verdictsOf(directory: string): Promise<string[]> {
  const report = await verifySource(await openSource(directory), { verifiers: [keys.verifier] })
  return report.findings.length > 0
    ? report.findings.map(({ verdict, sequence, from, to }) => `${verdict} ${sequence ?? `${from}-${to}`}`)
    : [report.verdict, String(report.records)]
}

/** Every file by its path. */
function contentsOf(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
  return Object.fromEntries(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name)
      return [path.slice(directory.length + 1), readFileSync(path).toString('base64')]
    }),
  )
}

function restore(directory: string, contents: Record<string, string>): void {
  rmSync(directory, { recursive: true })
  for (const [path, bytes] of Object.entries(contents)) {
    mkdirSync(join(directory, path, '..'), { recursive: true })
    writeFileSync(join(directory, path), Buffer.from(bytes, 'base64'))
  }
}

test('paths are those of c2sp.org/tlog-tiles', () => {
  assert.equal(tilePath(0, 0), 'tile/0/000')
  assert.equal(tilePath(2, 1_234_067), 'tile/2/x001/x234/067')
  assert.equal(tilePath(1, 1_000, 7), 'tile/1/x001/000.p/7')
  assert.equal(entriesPath(999), 'tile/entries/999')
  assert.equal(entriesPath(67_000, 3), 'tile/entries/x067/000.p/3')
})

test('a tree of tiles has the root of the tree', () => {
  const [tree, frontier] = [new TileTree(), new Frontier()]
  for (let size = 1; size <= 66_000; size += 1) {
    const leaf = Buffer.from(leafHash(String(size)), 'hex')
    const filled = tree.append(leaf)
    frontier.append(leaf)
    assert.equal(filled.length, size % 65_536 === 0 ? 2 : size % 256 === 0 ? 1 : 0)
    if (size < 600 || size > 65_530) assert.deepEqual(tree.root(), frontier.root(), `size ${size}`)
  }
})

test('a checker of transparency logs accepts the archive, and refuses a damaged one', async (t) => {
  if (fsckBinary() === undefined) return t.skip(fsckAbsent)
  const directory = folder(t)
  await archive(openFolder(directory), lines)
  const keyFile = join(directory, 'vkey')
  writeFileSync(keyFile, `${keys.signer.verifierKey}\n`)
  assert.equal(checkLog(join(directory, stream), { origin, keyFile }), true)
  const tile = join(directory, stream, 'tile/0/001')
  const bytes = readFileSync(tile)
  bytes[40] = (bytes[40] ?? 0) ^ 1
  writeFileSync(tile, bytes)
  assert.equal(checkLog(join(directory, stream), { origin, keyFile, msMax: 3_000 }), false)
})

test('an archive made in steps is the one made at once, whatever the order of its source', async (t) => {
  const [once, steps, twisted] = [folder(t), folder(t), folder(t)]
  const whole = await archive(openFolder(once), lines)
  assert.deepEqual(whole, { stream, from: 0, size: lines.length - 1, tail: 1 })
  for (const upTo of [1, 2, 150, 150, 257, 600, 601, lines.length])
    await archive(openFolder(steps), lines.slice(0, upTo))
  await archive(openFolder(twisted), lines, (list) => [...list].reverse())
  assert.deepEqual(contentsOf(steps), contentsOf(once))
  assert.deepEqual(contentsOf(twisted), contentsOf(once))
  assert.deepEqual(await verdictsOf(once), ['INTACT', String(lines.length)])
  assert.deepEqual(await verdictsOf(join(once, stream)), ['INTACT', String(lines.length)])
})

test('a source that begins where the archive ends is enough', async (t) => {
  const directory = folder(t)
  const { size, tail } = await archive(openFolder(directory), lines.slice(0, 500))
  await archive(openFolder(directory), lines.slice(size + tail))
  assert.deepEqual(await verdictsOf(directory), ['INTACT', String(lines.length)])
})

test('killed before any of its writes, it leaves an archive that verifies, and the next run completes it', async (t) => {
  const [directory, whole] = [folder(t), folder(t)]
  await archive(openFolder(whole), lines)
  await archive(openFolder(directory), lines.slice(0, 320))
  const kept = contentsOf(directory)
  for (let writes = 0; ; writes += 1) {
    restore(directory, kept)
    const store = openFolder(directory)
    let left = writes
    const dying: ArchiveStore = {
      ...store,
      async write(path, bytes) {
        if (left === 0) throw new Error('killed')
        left -= 1
        await store.write(path, bytes)
      },
    }
    const outcome = await archive(dying, lines).catch(() => undefined)
    const [verdict = ''] = await verdictsOf(directory)
    assert.match(verdict, /^(?:INTACT|OPEN_TAIL)$/, `after ${writes} writes`)
    await archive(openFolder(directory), lines)
    assert.deepEqual(await verdictsOf(directory), ['INTACT', String(lines.length)], `after ${writes} writes`)
    if (outcome !== undefined) break
  }
})

test('what contradicts the archive or its checkpoints is refused, and changes nothing', async (t) => {
  const directory = folder(t)
  await archive(openFolder(directory), lines.slice(0, 400))
  const before = contentsOf(directory)
  const forged = rechain(lines.map((line, at) => (at === 50 ? line.replace('u-', 'm-') : line)))
  assert.match(
    (await archive(openFolder(directory), forged)).refused ?? '',
    /^record 51 is there already, with other content$/,
  )
  const fresh = folder(t)
  assert.match((await archive(openFolder(fresh), forged)).refused ?? '', /do not fold to the root that was signed/)
  const late = await archive(openFolder(fresh), lines.slice(300))
  assert.match(late.refused ?? '', /the source begins later than the stream/)
  assert.match((await archive(openFolder(directory), lines.slice(450))).refused ?? '', /^record 401 is missing/)
  assert.deepEqual(contentsOf(directory), before)
  assert.equal(existsSync(join(fresh, stream, 'checkpoint')), false)
})

test('a range of time is read without the tiles before and behind it', async (t) => {
  const directory = folder(t)
  const long = makeTrail({ stream, keys, records: 5_000, interval: 500 }).lines
  await archive(openFolder(directory), long)
  const store = openFolder(directory)
  let reads = 0
  const counting: ArchiveStore = {
    ...store,
    read(path) {
      reads += path.includes('entries') ? 1 : 0
      return store.read(path)
    },
  }
  const recordedOf = (line = '') => `${JSON.parse(line).recorded.slice(0, 26)}Z`
  const sealedIn = async (range: { from?: string; to?: string }) => {
    reads = 0
    const found: string[] = []
    for await (const group of createArchiveSource(counting).readSealed?.(range) ?? [])
      for (const one of group) if (one.damage === undefined) found.push(Buffer.from(one.bytes).toString())
    return found.filter((line) => recordedOf(line) >= (range.from ?? '') && recordedOf(line) < (range.to ?? '9999'))
  }
  for (const [from, to] of [
    [0, 1],
    [255, 257],
    [256, 256],
    [2_559, 2_562],
    [4_000, 4_700],
    [5_005, long.length - 1],
  ] as const) {
    const range = { from: recordedOf(long[from]), to: recordedOf(long[to]) }
    const expected = long.filter((line) => recordedOf(line) >= range.from && recordedOf(line) < range.to)
    assert.deepEqual(await sealedIn(range), expected, `${from} to ${to}`)
    assert.ok(reads <= 5 + 5 + (to - from) / 256 + 2, `${reads} tiles for ${to - from} records`)
  }
  assert.equal((await sealedIn({})).length, long.length)
})

test('damage to an archive is found and named', async (t) => {
  const directory = folder(t)
  await archive(openFolder(directory), lines)
  const kept = contentsOf(directory)
  const path = (name: string) => join(directory, stream, name)
  const change = (name: string, at: number) => {
    const bytes = readFileSync(path(name))
    bytes[at] = (bytes[at] ?? 0) ^ 1
    writeFileSync(path(name), bytes)
  }
  const attacks: readonly (readonly [string, () => void, readonly string[]])[] = [
    ['a record', () => change('tile/entries/001', 200), ['CONTENT_TAMPERED 257']],
    ['a leaf', () => change('tile/0/001', 32 * 9), ['PROJECTION_MISMATCH 266']],
    ['a node', () => change('tile/1/000.p/3', 40), [`PROJECTION_MISMATCH ${lines.length - 1}`]],
    ['no records of a tile', () => rmSync(path('tile/entries/001')), ['MISSING 257-512']],
    [
      'a smaller size',
      () => writeFileSync(path('checkpoint'), readFileSync(path('checkpoint'), 'utf8').replace('\n910', '\n100')),
      ['CONTENT_TAMPERED 1-910'],
    ],
  ]
  for (const [name, damage, expected] of attacks) {
    damage()
    assert.deepEqual(await verdictsOf(directory), expected, name)
    restore(directory, kept)
  }
  assert.deepEqual(await verdictsOf(directory), ['INTACT', String(lines.length)])
})
