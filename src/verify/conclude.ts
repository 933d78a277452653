/**
 * The end of a source: what is missing, what is left over, which stream a stream says it continues, how far the
 * signatures reach, and the verdict over all of it. Benign states become observations, everything else findings.
 */

import { readDeletions } from './deletions.ts'
import { compareHead } from './heads.ts'
import type { Link } from './link.ts'
import { type Hole, type Misfit, pairMisfits } from './misfits.ts'
import type { Reading } from './reading.ts'
import type { Finding, SourceReport } from './report.ts'
import { reportOf } from './source-report.ts'
import type { StreamVerifier } from './stream.ts'
import { isOriginTrusted, mayOperate } from './trust.ts'

/** Settles every stream, logs what is left, and writes the report. */
export function concludeSource(reading: Reading): SourceReport {
  const streams = [...reading.streams.values()]
  for (const stream of streams) stream.finish()
  reading.prunes.believe(...prunings(streams, reading))
  placeLeftovers(reading)
  for (const stream of reading.streams.values()) {
    stream.judge.reportDeferred()
    // Without any key there is nothing to be refused by: that is UNANCHORED.
    if (reading.ring.verifiers.length > 0) stream.reportRefusals()
    joinPredecessors(stream, reading)
    reportTruncation(stream, reading)
  }
  for (const head of reading.heads) compareHead(head, reading)
  for (const { kept, stream, last, deployment } of reading.streams.values())
    kept.report(reading.log, { stream, last: last?.sequence ?? 0, deployment, verifiers: reading.ring.verifiers })
  for (const stream of reading.streams.values()) {
    reportOrigin(stream, reading)
    reading.cosignatures.judge(stream, reading)
  }
  const observations: Finding[] = [
    ...reading.prunes.observations,
    ...reading.erasures.conclude(erasings(streams, reading)),
  ]
  for (const stream of reading.streams.values()) observations.push(...observe(stream, reading))
  return reportOf(reading, observations)
}

/** The statements about removals of those streams whose word counts, and those of the others. */
function prunings(streams: readonly StreamVerifier[], { source, ring, options }: Reading): [Link[], Link[]] {
  const [believed, refused]: [Link[], Link[]] = [[], []]
  if (source.kind !== 'postgres') return [believed, refused]
  for (const one of streams) {
    const { deployment, stream } = one
    const isAllowed = mayOperate(options.trust, 'prune', { deployment, stream, signers: ring.signersOf(stream) })
    ;(isAllowed ? believed : refused).push(...one.standing('pruned'))
  }
  return [believed, refused]
}

/** The statements about erasures of those streams whose word counts. */
function erasings(streams: readonly StreamVerifier[], { ring, options }: Reading): Link[] {
  const isAllowed = ({ deployment, stream }: StreamVerifier) =>
    mayOperate(options.trust, 'erase', { deployment, stream, signers: ring.signersOf(stream) })
  return streams.filter(isAllowed).flatMap((stream) => stream.standing('erased'))
}

function placeLeftovers(reading: Reading): void {
  const { source, log, options } = reading
  const found = [...reading.streams.values()]
  const strays = found.flatMap((stream) => strayOf(stream, reading))
  const misfits = [...reading.misfits, ...found.flatMap(({ judge }) => judge.misfits), ...strays]
  const trailing = trailingHole(reading)
  const holes = [...found.flatMap(({ judge }) => judge.holes), ...trailing]
  const left = pairMisfits({ holes, misfits }, { log, source })
  const mayBeginLater = source.beginsLater || (options.allowPartial ?? false)
  const isDeleted = readDeletions(reading)
  for (const hole of left.holes) {
    const isKnown = hole.from === 1 && (mayBeginLater || isDeleted(hole.stream, hole.to, hole.expected))
    if (!hole.isVoid && !isKnown) reportHole(hole, reading)
  }
  for (const absence of reading.prunes.explainBeginnings())
    if (!mayBeginLater) reportHole({ ...absence, expected: undefined }, reading)
  // Where nothing is a record, nothing was inserted either: it is no copy of a trail.
  if (reading.records > 0) for (const misfit of left.misfits) reportMisfit(misfit, reading)
  else if (left.misfits.length > 0) reading.unreadable.push({ reason: 'nothing in it is a record of a trail' })
}

function strayOf(stream: StreamVerifier, { streams }: Reading): Misfit[] {
  const link = stream.stray
  if (link === undefined) return []
  const whenClaimed = (): void => {
    stream.removeStray()
    if (stream.records === 0) streams.delete(stream.stream)
  }
  const reason = `it calls itself ${link.sequence} of ${link.stream}`
  return [{ ...link, found: link.leaf, reason, stray: link, whenClaimed }]
}

/** Damage behind the last record of an ordered source stands where that stream's next record would. */
function trailingHole({ source, streams, lastStream, lastPosition }: Reading): Hole[] {
  const last = lastStream === undefined ? undefined : streams.get(lastStream)?.last
  if (!source.ordered || last === undefined || last.position !== lastPosition) return []
  const sequence = last.sequence + 1
  const before = Number.POSITIVE_INFINITY
  return [
    {
      stream: last.stream,
      from: sequence,
      to: sequence,
      expected: undefined,
      after: lastPosition,
      before,
      isVoid: true,
    },
  ]
}

type Absent = Pick<Hole, 'stream' | 'from' | 'to' | 'expected'>

function reportHole({ expected, ...absence }: Absent, { log, prunes }: Reading): void {
  for (const { stream, from, to } of prunes.explainParts(absence)) {
    const range = from === to ? { sequence: from } : { from, to }
    const evidence = from === to && expected !== undefined ? { expected } : {}
    const detail =
      from === 1
        ? 'the beginning of the stream is not in this copy; if it is known to begin later, say --allow-partial'
        : from === to
          ? 'the record is not in this copy'
          : `${to - from + 1} records are not in this copy`
    log.add({ verdict: 'MISSING', stream, ...range, ...evidence, detail })
  }
}

function reportMisfit({ position, reason, stream, sequence, expected, found }: Misfit, { log, source }: Reading): void {
  log.add({
    verdict: 'INSERTED',
    ...(stream !== undefined && { stream }),
    ...(sequence !== undefined && { sequence }),
    ...(expected !== undefined && { expected }),
    ...(found !== undefined && { found }),
    where: source.locate(position),
    detail: reason,
  })
}

/** A stream that continues another names its end: stream, sequence and hash. */
function joinPredecessors(joining: StreamVerifier, reading: Reading): void {
  const { streams, log, source, options, prunes } = reading
  const isDeleted = readDeletions(reading)
  for (const opening of joining.standing('opened')) {
    const named = predecessorIn(opening.control?.details, streams)
    if (named === undefined) continue
    const { stream, sequence, hash: expected, isOther } = named
    const predecessor = streams.get(stream)
    const last = predecessor?.last?.sequence ?? 0
    const by = `stream ${opening.stream} ${isOther ? 'saw its record' : 'continues it from sequence'} ${sequence}`
    if (predecessor === undefined) {
      if (source.beginsLater || options.allowPartial || isDeleted(stream, sequence, expected)) continue
      if (prunes.explain({ stream, from: 1, to: sequence })) continue
      log.add({ verdict: 'STREAM_MISSING', stream, expected, detail: `the stream is not in this copy: ${by}` })
    } else if (last < sequence) {
      const range = { from: last + 1, to: sequence }
      if (prunes.explain({ stream, ...range })) continue
      log.add({ verdict: 'TRUNCATED', stream, ...range, expected, detail: `the stream ends too early: ${by}` })
    } else {
      const found = predecessor.judge.leafOf(sequence)
      if (found === undefined || found === expected) continue
      log.add({ verdict: 'FORKED', stream, sequence, expected, found, detail: `another record stood here: ${by}` })
    }
  }
}

interface NamedPredecessor {
  readonly stream: string
  readonly sequence: number
  readonly hash: string
  /** It is what a destination held, not what the stream continues. */
  readonly isOther: boolean
}

/**
 * What a stream says about the end of the one before it. Where a destination was ahead of that one, the stream continues
 * the writer's own branch, and names what the destination held: a copy with that other branch is held to this.
 */
function predecessorIn(details: unknown, streams: Reading['streams']): NamedPredecessor | undefined {
  const { predecessor, ahead } = membersOf(details)
  const { stream, seq: sequence, hash } = membersOf(predecessor)
  if (typeof stream !== 'string' || typeof sequence !== 'number' || typeof hash !== 'string') return undefined
  const { seq: seenSequence, hash: seenHash } = membersOf(ahead)
  const hasOwnBranch = streams.get(stream)?.judge.leafOf(sequence) === hash
  if (hasOwnBranch || typeof seenSequence !== 'number' || typeof seenHash !== 'string')
    return { stream, sequence, hash, isOther: false }
  return { stream, sequence: seenSequence, hash: seenHash, isOther: true }
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return (value ?? {}) as Readonly<Record<string, unknown>>
}

/** A stream that the trust file does not name. */
function reportOrigin({ stream, deployment }: StreamVerifier, { log, options }: Reading): void {
  // Without a deployment nothing signed is in it, which is UNANCHORED.
  if (options.trust === undefined || deployment === undefined || isOriginTrusted(options.trust, deployment, stream))
    return
  log.add({
    verdict: 'WRONG_ORIGIN',
    stream,
    found: `${deployment}/${stream}`,
    detail: 'the trust file names no such origin',
  })
}

function reportTruncation({ stream, last, signedBeyond }: StreamVerifier, { log, prunes }: Reading): void {
  if (signedBeyond === undefined || last === undefined) return
  if (prunes.explain({ stream, from: last.sequence + 1, to: signedBeyond })) return
  const detail = `a signed checkpoint says that the stream has ${signedBeyond} records`
  log.add({ verdict: 'TRUNCATED', stream, from: last.sequence + 1, to: signedBeyond, detail })
}

/** The benign states of a stream; logs UNANCHORED, which is benign only where it is allowed. */
function observe(stream: StreamVerifier, reading: Reading): Finding[] {
  const { streams, log, source, options, ring } = reading
  const { judge, last, first, coveredTo } = stream
  const observations: Finding[] = []
  const note = (verdict: Finding['verdict'], detail: string, range: Partial<Finding> = {}): void => {
    observations.push({ verdict, source: source.name, stream: stream.stream, ...range, detail })
  }
  for (const opening of stream.standing('opened')) {
    const named = predecessorIn(opening.control?.details, streams)
    if (named?.isOther) note('INTACT', `it continues a branch of stream ${named.stream} that this copy had refused`)
  }
  if (judge.repeats > 0) note('DUPLICATE_DELIVERY', `${judge.repeats} records came more than once, with the same bytes`)
  if (judge.clockAnomalies > 0)
    note('CLOCK_ANOMALY', `${judge.clockAnomalies} records were sealed while the clock was behind`)
  if (first > 1 && readDeletions(reading)(stream.stream, first - 1))
    note('PRUNED', 'the files that held the beginning were deleted, which the trail says itself', {
      from: 1,
      to: first - 1,
    })
  for (const key of ring.firstUsedBy(stream.stream))
    note('FIRST_USE', `signed by ${key}, which the copy itself names: whoever made the copy may have made the key`)
  const unanchored = whyUnanchored(stream, reading)
  if (unanchored !== undefined && options.allowUnanchored) note('UNANCHORED', unanchored)
  else if (unanchored !== undefined) log.add({ verdict: 'UNANCHORED', stream: stream.stream, detail: unanchored })
  const open = (last?.sequence ?? 0) - coveredTo
  const isWhole = open <= 0 || (open === 1 && last?.control?.type === 'checkpoint')
  const range = { from: coveredTo + 1, to: coveredTo + open }
  if (unanchored !== undefined || isWhole) return observations
  if (coveredTo > 0) note('OPEN_TAIL', `${open} records after the last checkpoint are linked, not signed`, range)
  else if (isContinued(stream, reading))
    note('OPEN_TAIL', `its ${open} records have no checkpoint; a stream that is signed names where it ended`, range)
  return observations
}

function whyUnanchored(stream: StreamVerifier, reading: Reading): string | undefined {
  const { log, options, ring } = reading
  const verdicts = log.verdictsOf(stream.stream)
  if (ring.verifiers.length === 0 && options.isFirstUse)
    return 'no verifier key was given, and the first record of the stream is not here or names none'
  if (ring.verifiers.length === 0)
    return 'no verifier key was given: the records fit together, but nothing says whose they are'
  if (verdicts.has('BAD_SIGNATURE') || verdicts.has('WRONG_ORIGIN') || stream.isProven) return undefined
  if (stream.anchorsSeen === 0 && isContinued(stream, reading)) return undefined
  if (stream.anchorsSeen === 0) return 'no signed checkpoint covers any of it'
  if (stream.first > 1) return 'the copy begins later than its stream and has fewer than two checkpoints that join'
  return undefined
}

/**
 * Whether something signed covers a stream that has no checkpoint, because its writer was killed before the first one and a
 * new stream began: that one's opening names the last hash, which the whole row leads to. Over several such streams, too.
 */
function isContinued({ stream, first, judge }: StreamVerifier, reading: Reading): boolean {
  if (first > 1 || reading.log.verdictsOf(stream).size > 0) return false
  return [...reading.streams.values()].some((next) =>
    next.standing('opened').some(({ sequence, control }) => {
      const named = predecessorIn(control?.details, reading.streams)
      if (named?.stream !== stream || named.isOther || judge.leafOf(named.sequence) !== named.hash) return false
      if (next.isProven) return sequence <= next.coveredTo
      return next.anchorsSeen === 0 && sequence === 1 && isContinued(next, reading)
    }),
  )
}
