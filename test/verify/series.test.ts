/** Files as the file destination leaves them: compressed, closed one after the other, the oldest deleted. */

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { AuditError } from '../../src/errors.ts'
import { expandSource, openSource } from '../../src/verify/sources.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { leafOf, makeKeys, makeTrail, TrailWriter, toNdjson, toOtlp } from '../support/trail.ts'

const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const trail = makeTrail({ stream, keys, records: 40, interval: 8 }).lines
const part = (from: number, to?: number): Buffer => Buffer.from(toNdjson(trail.slice(from, to)))

/** A folder with these files. */
function folderOf(t: TestContext, files: Readonly<Record<string, Buffer | string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-series-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  return folder
}

async function verdictOf(path: string) {
  const report = await verifySource(await openSource(path), { verifiers: [keys.verifier] })
  return { ...report, verdict: report.verdict, records: report.records }
}

test('a compressed file is read as it is', async (t) => {
  const folder = folderOf(t, {
    'a.ndjson.gz': gzipSync(part(0)),
    'b.zst': zstdCompressSync(part(0)),
    c: gzipSync(toOtlp(trail)),
  })
  for (const name of ['a.ndjson.gz', 'b.zst', 'c'])
    assert.equal((await verdictOf(join(folder, name))).verdict, 'INTACT')
})

test('a compressed file that is cut off could not be read to its end', async (t) => {
  const [gzip, zstd] = [gzipSync(part(0)), zstdCompressSync(part(0))]
  for (const whole of [gzip, zstd]) {
    const folder = folderOf(t, { cut: whole.subarray(0, whole.length - 30) })
    const code = await verdictOf(join(folder, 'cut')).then(
      ({ exitCode }) => exitCode,
      (thrown: unknown) => (thrown instanceof AuditError ? 2 : thrown),
    )
    assert.equal(code, 2)
  }
})

for (const [what, files] of [
  ['ours', ['audit.ndjson.000001.gz', 'audit.ndjson.000002.zst', 'audit.ndjson.000010', 'audit.ndjson']],
  ['of logrotate', ['audit.ndjson.10.gz', 'audit.ndjson.2', 'audit.ndjson.1', 'audit.ndjson']],
] as const) {
  test(`closed files are read in their order, with the one being written (numbers ${what})`, async (t) => {
    const bounds = [0, 10, 20, 30, undefined] as const
    const content = files.map((name, index) => {
      const bytes = part(bounds[index] ?? 0, bounds[index + 1])
      return [
        name,
        name.endsWith('.gz') ? gzipSync(bytes) : name.endsWith('.zst') ? zstdCompressSync(bytes) : bytes,
      ] as const
    })
    const folder = folderOf(t, Object.fromEntries(content))
    for (const source of [join(folder, 'audit.ndjson'), ...expandSource(folder)]) {
      const { verdict, records, name } = await verdictOf(source)
      assert.deepEqual([verdict, records, name], ['INTACT', trail.length, `${source} (4 files)`])
    }
    rmSync(join(folder, 'audit.ndjson'))
    const { verdict, records } = await verdictOf(join(folder, 'audit.ndjson'))
    assert.deepEqual([verdict, records], ['OPEN_TAIL', 30])
  })
}

test('the file being written may be empty', async (t) => {
  const folder = folderOf(t, { 'audit.ndjson.000001': part(0), 'audit.ndjson': '' })
  assert.equal((await verdictOf(join(folder, 'audit.ndjson'))).verdict, 'INTACT')
})

test('a finding names the file and the line', async (t) => {
  const damaged = part(10, 20).toString().replace('"action":"', '"action":"x')
  const files = {
    'audit.ndjson.000001.gz': gzipSync(part(0, 10)),
    'audit.ndjson.000002': damaged,
    'audit.ndjson': part(20),
  }
  const { findings } = await verdictOf(join(folderOf(t, files), 'audit.ndjson'))
  assert.partialDeepStrictEqual(findings, [
    { verdict: 'CONTENT_TAMPERED', sequence: 11, where: 'audit.ndjson.000002 line 1' },
  ])
})

test('a closed file that is gone is missing', async (t) => {
  const files = { 'audit.ndjson.000001': part(0, 10), 'audit.ndjson.000003': part(20, 30), 'audit.ndjson': part(30) }
  const { findings } = await verdictOf(join(folderOf(t, files), 'audit.ndjson'))
  assert.partialDeepStrictEqual(findings, [{ verdict: 'MISSING', from: 11, to: 20 }])
})

test('a plain file beside its compressed one is what a crash left, and is not read twice', async (t) => {
  const files = {
    'audit.ndjson.000001': part(0, 10),
    'audit.ndjson.000001.gz': gzipSync(part(0, 10)),
    'audit.ndjson': part(10),
  }
  const { verdict, observations } = await verdictOf(join(folderOf(t, files), 'audit.ndjson'))
  assert.deepEqual([verdict, observations], ['INTACT', []])
})

test('a folder holds each file once, and other things are none of ours', async (t) => {
  const folder = folderOf(t, {
    'a.ndjson': part(0),
    'b.ndjson.gz': gzipSync(part(0)),
    'c.ndjson.000001.gz': gzipSync(part(0)),
    'notes.txt': 'x',
    'a.ndjson.lock': '1',
  })
  mkdirSync(join(folder, 'empty'))
  assert.deepEqual(
    expandSource(folder),
    ['a.ndjson', 'b.ndjson.gz', 'c.ndjson'].map((name) => join(folder, name)),
  )
  for (const source of expandSource(folder)) assert.equal((await verdictOf(source)).verdict, 'INTACT')
  assert.deepEqual(expandSource(join(folder, 'empty')), [join(folder, 'empty')])
})

/** A trail that says that its first records were deleted, as the file destination has it sealed. */
function deletedTrail(to: number, change: Readonly<Record<string, unknown>> = {}): readonly string[] {
  const writer = new TrailWriter(stream, keys).open().act(10).checkpoint().act(10).checkpoint()
  const range = { stream, from: 1, to, hash: leafOf(writer.lines[to - 1] ?? ''), ...change }
  const details = { destination: 'file', file: 'audit.ndjson.000001.gz', records: to, ranges: [range] }
  writer.seal({ action: 'audit.file.deleted', event_type: 'audit.file.deleted', details })
  return writer.act(10).close().lines
}

test('a beginning whose deletion the trail tells of is pruned, and no finding', async (t) => {
  const folder = folderOf(t, { 'audit.ndjson': toNdjson(deletedTrail(5).slice(5)) })
  const { exitCode, verdict, observations } = await verdictOf(join(folder, 'audit.ndjson'))
  assert.deepEqual([exitCode, verdict], [0, 'PRUNED'])
  assert.partialDeepStrictEqual(observations, [{ verdict: 'PRUNED', from: 1, to: 5 }])
})

for (const [what, lines] of [
  ['more than was deleted', deletedTrail(5).slice(7)],
  ['something else than was deleted', deletedTrail(5, { hash: 'ab'.repeat(32) }).slice(5)],
  ['a part of what was deleted, from its middle', deletedTrail(5, { from: 3 }).slice(5)],
  ['what another stream was rid of', deletedTrail(5, { stream: 'another' }).slice(5)],
] as const) {
  test(`a copy that lacks ${what} is missing it`, async (t) => {
    const { findings } = await verdictOf(join(folderOf(t, { 'audit.ndjson': toNdjson(lines) }), 'audit.ndjson'))
    assert.partialDeepStrictEqual(findings, [{ verdict: 'MISSING', from: 1 }])
  })
}

test('that a file was deleted excuses no other copy', async (t) => {
  const folder = folderOf(t, { 'collector.jsonl': toOtlp(deletedTrail(5).slice(5)) })
  const { findings } = await verdictOf(join(folder, 'collector.jsonl'))
  assert.partialDeepStrictEqual(findings, [{ verdict: 'MISSING', from: 1, to: 5 }])
})
