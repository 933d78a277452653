/**
 * Verification of whole sources, offline: reads every record, hands it to its stream, then joins what only the
 * source as a whole can tell: holes with what stands in their place, streams with their predecessors. Keys come
 * from the caller, never from the data. Never throws for bad data; bounded in what it keeps of damage.
 */

import { leafHash } from '../chain/hash.ts'
import { AuditError, errorText } from '../errors.ts'
import { concludeSource } from './conclude.ts'
import { Gatherer } from './gatherer.ts'
import type { Link } from './link.ts'
import { beginReading, type Reading, type VerifyOptions } from './reading.ts'
import { combineReports, type Report, type SourceReport, setAsideMax } from './report.ts'
import type { Damage, FoundRecord, Source } from './source.ts'
import { StreamVerifier } from './stream.ts'

/** Verifies each source on its own: two copies of one trail must both pass. */
export async function verifySources(sources: readonly Source[], options: VerifyOptions): Promise<Report> {
  const reports: SourceReport[] = []
  // One after the other, so that memory and progress are those of one.
  for (const source of sources) reports.push(await verifySource(source, options))
  return combineReports(reports)
}

/** Verifies one source. What cannot be read is said in the report, with exit code 2. */
export async function verifySource(source: Source, options: VerifyOptions): Promise<SourceReport> {
  const reading = beginReading(source, options)
  try {
    await read(reading)
    return concludeSource(reading)
  } finally {
    reading.shelf.close()
  }
}

async function read(reading: Reading): Promise<void> {
  const { source, options } = reading
  const gatherer = new Gatherer({
    isOrdered: source.ordered,
    onRun: (run) => streamOf(reading, run.link(run.first)).addRun(run),
    onLink: (link) => takeLink(reading, link),
  })
  try {
    // Before the records: what is delivered meanwhile may only make a stream longer than its head.
    reading.heads = (await source.readHeads?.()) ?? []
    reading.prunes.list((await source.readPruned?.()) ?? [])
    for await (const group of source.read()) {
      for (const one of group) takeIn(reading, gatherer, one)
      options.onProgress?.({ source: source.name, records: reading.records })
    }
    gatherer.flush()
    await reading.erasures.ask()
  } catch (thrown) {
    if (!(thrown instanceof AuditError)) throw thrown
    gatherer.flush()
    reading.unreadable.push({ reason: errorText(thrown) })
  }
}

function takeLink(reading: Reading, link: Link): void {
  // Believed by the witness's key alone, wherever they stand; there may be many, and none is kept here.
  if (link.control?.type === 'anchored') reading.cosignatures.take(link)
  if (link.control?.type === 'erased') reading.erasures.hear(link)
  if (link.control?.type === 'opened' && link.sequence === 1) reading.ring.meet(link.control.details)
  streamOf(reading, link).add(link)
}

function takeIn(reading: Reading, gatherer: Gatherer, one: FoundRecord | Damage): void {
  if (one.damage !== undefined) takeDamage(reading, one)
  else if (!gatherer.take(one)) takeDamage(reading, asDamage(one))
  else {
    reading.erasures.take(one)
    reading.records += 1
    reading.lastPosition = one.position
  }
}

function streamOf(reading: Reading, link: Link): StreamVerifier {
  reading.lastStream = link.stream
  const known = reading.streams.get(link.stream)
  if (known !== undefined) return known
  const { source, log, ring, shelf, options, prunes } = reading
  const stream = new StreamVerifier(link.stream, {
    source,
    log,
    ring,
    shelf,
    since: options.since,
    base: prunes.baseOf(link),
  })
  reading.streams.set(link.stream, stream)
  return stream
}

function asDamage({ bytes, position, place }: FoundRecord): Damage {
  return { damage: 'it is no record of a trail', position, place, found: leafHash(bytes) }
}

function takeDamage({ source, misfits, unreadable, log }: Reading, damage: Damage): void {
  const { position, damage: reason, found, place, cutOff } = damage
  const where = source.locate(position)
  if (cutOff) unreadable.push({ where, reason })
  else if (misfits.length < setAsideMax) misfits.push({ position, reason, found, place })
  else log.add({ verdict: 'INSERTED', where, detail: reason })
}
