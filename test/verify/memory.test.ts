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

/** Bytes in use while a copy is read, each time that so many more records have been read. */
async function bytesInUse(records: number, every: number): Promise<number[]> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const bytes: number[] = []
  const report = await verifySource(
    createNdjsonSource('copy', () => chain(records)),
    {
      verifiers: [],
      allowUnanchored: true,
      onProgress(progress) {
        if (progress.records < (bytes.length + 1) * every) return
        collect()
        collect() // what the first one finalizes
        const { heapUsed, arrayBuffers } = process.memoryUsage()
        bytes.push(heapUsed + arrayBuffers)
      },
    },
  )
  assert.deepEqual([report.verdict, report.records], ['UNANCHORED', records])
  return bytes
}

it('does not grow with the number of records: five times as many cost less than half of their hashes', async () => {
  const [few, many] = [150_000, 750_000]
  const bytes = await bytesInUse(many, few)
  assert.equal(bytes.length, many / few)
  const grown = (bytes.at(-1) ?? 0) - (bytes[0] ?? 0)
  assert.ok(grown < ((many - few) * 32) / 2, `bytes in use, every ${few} records: ${bytes.join(', ')}`)
})
