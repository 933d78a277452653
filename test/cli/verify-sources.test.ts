/** Several sources at a time: the same reports in the same order, whichever thread has made them. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { verifyAll } from '../../src/cli/verify-sources.ts'
import type { Progress } from '../../src/verify/reading.ts'
import { makeKeys, makeTrail, toNdjson, toOtlp } from '../support/trail.ts'
import { craftSpool } from '../tamper/crafted-spool.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-verify-sources-'))
after(() => rmSync(folder, { recursive: true }))
const keys = makeKeys('prod')
const stream = '019b7c2f-1111-7000-8000-000000000001'
const { lines } = makeTrail({ stream, keys, records: 60, interval: 16 })

/** A copy of each kind, a damaged one, and one that is not there. */
function makeCopies(): string[] {
  const [whole, forged] = [join(folder, 'whole.ndjson'), join(folder, 'forged.ndjson')]
  const [collected, spool] = [join(folder, 'collected.jsonl'), join(folder, 'spool')]
  writeFileSync(whole, toNdjson(lines))
  writeFileSync(forged, toNdjson(lines.with(8, (lines[8] ?? '').replace('u-9', 'm-9'))))
  writeFileSync(collected, toOtlp(lines))
  craftSpool(spool, lines)
  return [whole, forged, collected, spool, join(folder, 'nowhere.ndjson')]
}

it('are verified in threads of their own as they are in one', async () => {
  const names = makeCopies()
  const trust = JSON.stringify({ keys: [{ key: keys.signer.verifierKey }], origins: [`prod/${stream}`] })
  const order = { verifiers: [keys.verifier], trust, since: [], allowUnanchored: false, allowPartial: false }
  const heard = new Set<string>()
  const onProgress = ({ source }: Progress): void => void heard.add(source)
  const alone = await verifyAll(names, order, { onProgress })
  assert.deepEqual([...heard], names.slice(0, 4))
  const threaded = await verifyAll(names, order, { onProgress, threadBytes: 0 })
  assert.deepEqual(threaded, alone)
  assert.deepEqual(
    alone.map(({ verdict }) => verdict),
    ['INTACT', 'CONTENT_TAMPERED', 'INTACT', 'INTACT', 'UNREADABLE'],
  )
})

it('in threads are held to the trust file too', async () => {
  const [whole = '', , collected = ''] = makeCopies()
  const trust = JSON.stringify({ keys: [{ key: keys.signer.verifierKey }], origins: ['staging/*'] })
  const order = { verifiers: [keys.verifier], trust, since: [], allowUnanchored: false, allowPartial: false }
  const reports = await verifyAll([whole, collected], order, { onProgress: () => {}, threadBytes: 0 })
  assert.deepEqual(
    reports.map(({ name, verdict }) => [name, verdict]),
    [
      [whole, 'WRONG_ORIGIN'],
      [collected, 'WRONG_ORIGIN'],
    ],
  )
})

it('reject for a fault that is no finding, wherever it happens', async () => {
  const [name = ''] = makeCopies()
  const order = { verifiers: [], trust: '{', since: [], allowUnanchored: false, allowPartial: false }
  const how = { onProgress: () => {} }
  await assert.rejects(verifyAll([name, name], order, how))
  await assert.rejects(verifyAll([name, name], order, { ...how, threadBytes: 0 }))
})
