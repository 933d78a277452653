/**
 * A trail of any length that is made while it is verified, to see what verification keeps of it. Its records have the
 * members that verification reads, and one that makes them a kilobyte; a checkpoint is signed behind each 256.
 */

import { checkpointDetails } from '../../src/chain/checkpoint.ts'
import { leafHash } from '../../src/chain/hash.ts'
import { Frontier } from '../../src/chain/merkle.ts'
import { createNdjsonSource } from '../../src/verify/sources/ndjson.ts'
import { verifySource } from '../../src/verify/verify.ts'
import { canonical, makeKeys } from '../support/trail.ts'
import type { Figures } from './figures.ts'

const stream = '019b7c2f-1111-7000-8000-000000000001'
const keys = makeKeys('bench')
const recorded = '2026-01-02T03:04:05.000000000Z'
const checkpointRecords = 256
const note = 'x'.repeat(760)

/** Verifies a trail of so many records; what the process has held of memory at most, its own trail included. */
export async function verifyLongTrail({
  longRecords = 0,
}: {
  readonly longRecords?: number | undefined
}): Promise<Figures> {
  const report = await verifySource(
    createNdjsonSource('long trail', () => makeTrail(longRecords)),
    { verifiers: [keys.verifier] },
  )
  if (report.exitCode !== 0 || report.records !== longRecords) throw new Error(JSON.stringify(report))
  return { records: report.records, peakMegabytes: process.resourceUsage().maxRSS / 1_000 }
}

async function* makeTrail(records: number): AsyncGenerator<Buffer> {
  const frontier = new Frontier()
  let prev = ''
  let lines = ''
  const seal = (line: string): void => {
    prev = leafHash(line)
    frontier.append(prev)
    lines += `${line}\n`
  }
  for (let sequence = 1; sequence <= records; sequence += 1) {
    const link = prev === '' ? '' : `"prev":"${prev}",`
    if (sequence % checkpointRecords !== 0 && sequence < records) {
      seal(
        `{"details":{"note":"${note}"},"event_type":"audit",${link}"recorded":"${recorded}","seq":${sequence},"stream":"${stream}"}`,
      )
      continue
    }
    const details = checkpointDetails(frontier, `bench/${stream}`, keys.signer)
    seal(canonical({ details, event_type: 'audit.checkpoint', prev, recorded, seq: sequence, stream }))
    yield Buffer.from(lines)
    lines = ''
  }
}
