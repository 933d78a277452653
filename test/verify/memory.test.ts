/** What verification keeps of a copy while it reads it: no more of a long one than of a short one. */

import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { verifySource } from '../../src/verify/verify.ts'

const stream = '019b7c2f-1111-7000-8000-000000000001'
const recordsOfChunk = 2_000

/** A chain of records with nothing but what links them, made while it is read. */
async function* chain(records: number): AsyncGenerator<Buffer> {
  let prev = ''
  for (let from = 1; from <= records; from += recordsOfChunk) {
    let lines = ''
    for (let sequence = from; sequence < from + recordsOfChunk; sequence += 1) {
      const link = prev === '' ? '' : `"prev":"${prev}",`
      const line = `{"event_type":"audit",${link}"recorded":"2026-01-02T03:04:05.000000000Z","seq":${sequence},"stream":"${stream}"}`
      prev = hash('sha256', `\0${line}`, 'hex')
      lines += `${line}\n`
    }
    yield Buffer.from(lines)
  }
}

/** Bytes in use when the last record has been read. */
async function bytesInUse(records: number, collect: () => void): Promise<number> {
  let bytes = 0
  const report = await verifySource(
    createNdjsonSource('copy', () => chain(records)),
    {
      verifiers: [],
      allowUnanchored: true,
      onProgress(progress) {
        if (bytes > 0 || progress.records < records) return
        collect()
        const { heapUsed, arrayBuffers } = process.memoryUsage()
        bytes = heapUsed + arrayBuffers
      },
    },
  )
  assert.deepEqual([report.verdict, report.records], ['UNANCHORED', records])
  return bytes
}

it('does not grow with the number of records: five times as many cost less than half of their hashes', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const [few, many] = [150_000, 750_000]
  const short = await bytesInUse(few, collect)
  const long = await bytesInUse(many, collect)
  const hashes = (many - few) * 32
  assert.ok(long - short < hashes / 2, `${short} bytes in use after ${few} records, ${long} after ${many}`)
})
