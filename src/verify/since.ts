/**
 * Checkpoints that somebody kept outside the trail: a copy must hold them as its beginning. They show what no copy shows
 * by itself: one rolled back or cut short as a whole, or written anew with the key. Pure.
 */

import { openSignedCheckpoint, parseCheckpoint } from '../chain/checkpoint.ts'
import type { Frontier } from '../chain/merkle.ts'
import type { Verifier } from '../chain/note.ts'
import type { FindingLog } from './finding-log.ts'
import type { Finding, SourceReport } from './report.ts'
import { foldResolved, type Resolved } from './resolve.ts'

/** A checkpoint as it was kept. */
export interface KeptCheckpoint {
  readonly deployment: string
  readonly stream: string
  readonly size: number
  /** 64 hex digits. */
  readonly root: string
  /** The signature lines, those of witnesses among them. */
  readonly signatures: readonly string[]
  /** The note itself, where no key that was given has signed it: one that a rotation in the copy leads to must have. */
  readonly unproven?: string
}

/**
 * Reads one note or several, one after the other; why they are none otherwise. With keys, what none of them has signed is
 * unproven: a rotation in the copy may lead to the key that did.
 */
export function readKept(text: string, verifiers: readonly Verifier[]): readonly KeptCheckpoint[] | string {
  const notes = text.match(/[^\n]+\n\d+\n[^\n]+\n\n(?:— [^\n]+\n)+/g) ?? []
  if (notes.length === 0 || notes.join('') !== text)
    return 'it holds no checkpoints: signed notes as "verify --keep" writes them'
  const kept: KeptCheckpoint[] = []
  for (const note of notes) {
    const unsigned = (): ReturnType<typeof parseCheckpoint> => parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))
    const signed = verifiers.length > 0 ? openSignedCheckpoint(note, undefined, verifiers) : unsigned()
    const isUnproven = 'problem' in signed && signed.problem === 'unknown_key'
    const opened = isUnproven ? unsigned() : signed
    if ('problem' in opened) return opened.reason
    const { origin, size, root } = opened
    const at = origin.lastIndexOf('/')
    const hex = Buffer.from(root).toString('hex')
    const signatures = note.match(/— [^\n]+\n/g) ?? []
    kept.push({
      deployment: origin.slice(0, Math.max(0, at)),
      stream: origin.slice(at + 1),
      size,
      root: hex,
      signatures,
      ...(isUnproven && { unproven: note }),
    })
  }
  return kept
}

/** What becomes of the kept checkpoints of one stream while it is read. */
export class KeptRoots {
  readonly #kept: readonly KeptCheckpoint[]
  /** Roots of the copy, for the sizes that were kept. */
  readonly #found = new Map<number, string>()

  constructor(kept: readonly KeptCheckpoint[]) {
    this.#kept = kept
  }

  /** Takes in the records above `base` up to `upTo`, before they are left behind. */
  fold(base: Frontier | undefined, resolved: readonly Resolved[], upTo: number): void {
    for (const { size } of this.#kept) {
      if (base === undefined || size < base.size || size > upTo || this.#found.has(size)) continue
      const root = foldResolved(base, resolved, size)?.root().toString('hex')
      if (root !== undefined) this.#found.set(size, root)
    }
  }

  /** Whether a root is still to be found of a size in this range. */
  asksBetween(from: number, to: number): boolean {
    return this.#kept.some(({ size }) => from <= size && size <= to && !this.#found.has(size))
  }

  /** Takes a signed tree of which the records below are not in this copy. */
  takeSigned(size: number, root: Uint8Array): void {
    if (!this.#found.has(size)) this.#found.set(size, Buffer.from(root).toString('hex'))
  }

  /** The largest kept size that the copy has been shown to begin with; 0 when none was. */
  get agreedTo(): number {
    return this.#kept.reduce(
      (most, { size, root }) => (this.#found.get(size) === root ? Math.max(most, size) : most),
      0,
    )
  }

  /** Logs each kept checkpoint that the copy, which ends at `last`, does not begin with. */
  report(log: FindingLog, { stream, last, deployment, verifiers }: KeptStream): void {
    for (const kept of this.#kept) {
      const { size, root: expected } = kept
      const found = this.#found.get(size)
      if (deployment !== undefined && deployment !== kept.deployment) {
        const detail = `the checkpoint that you kept is of ${kept.deployment}/${stream}`
        log.add({ verdict: 'WRONG_ORIGIN', stream, expected: kept.deployment, found: deployment, detail })
      }
      if (last < size) {
        const detail = `the checkpoint that you kept says that the stream has ${size} records`
        log.add({ verdict: 'TRUNCATED', stream, from: last + 1, to: size, expected, detail })
      } else if (found !== undefined && found !== expected) {
        const detail = `the first ${size} records are others than those of the checkpoint that you kept`
        log.add({ verdict: 'FORKED', stream, from: 1, to: size, expected, found, detail })
      } else if (!isProven(kept, verifiers)) {
        const detail = 'no key that you gave, or that a rotation here leads to, has signed the checkpoint that you kept'
        log.add({ verdict: 'BAD_SIGNATURE', stream, expected, detail })
      } else if (found === undefined && log.verdictsOf(stream).size === 0) {
        const detail = `the copy lacks what shows that it continues the ${size} records of the checkpoint that you kept`
        log.add({ verdict: 'UNANCHORED', stream, detail })
      }
    }
  }
}

interface KeptStream {
  readonly stream: string
  readonly last: number
  readonly deployment: string | undefined
  /** The keys that are believed of the copy. */
  readonly verifiers: readonly Verifier[]
}

function isProven({ unproven }: KeptCheckpoint, verifiers: readonly Verifier[]): boolean {
  return unproven === undefined || !('problem' in openSignedCheckpoint(unproven, undefined, verifiers))
}

/** A stream that some source must hold. */
export interface RequiredStream {
  readonly deployment: string
  readonly stream: string
  /** Of the kept checkpoint, where one says so. */
  readonly size?: number
  readonly root?: string
}

/** A report of its own for streams that no source holds; `name`: the file that demands them. Undefined: all are there. */
export function reportMissing(
  name: string,
  kept: readonly RequiredStream[],
  sources: readonly SourceReport[],
): SourceReport | undefined {
  const held = new Set(sources.flatMap(({ streams }) => streams.map(({ stream }) => stream)))
  const missing = kept.filter(({ stream }) => !held.has(stream))
  if (missing.length === 0) return undefined
  const findings = missing.map(({ deployment, stream, size, root }): Finding<'STREAM_MISSING'> => {
    const known =
      size === undefined
        ? `${deployment}/${stream} is trusted`
        : `you kept a checkpoint of ${size} records of ${deployment}/${stream}`
    const detail = `${known}, and no source holds any of it`
    return { verdict: 'STREAM_MISSING', source: name, stream, ...(root !== undefined && { expected: root }), detail }
  })
  const nothing = { records: 0, checkpoints: 0, streams: [], observations: [], unreadable: [] }
  const findingCounts = { STREAM_MISSING: findings.length }
  return { name, kind: 'demanded', verdict: 'STREAM_MISSING', exitCode: 1, findings, findingCounts, ...nothing }
}
