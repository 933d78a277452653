/**
 * Which witnesses have cosigned a stream, and up to which size. Cosignatures stand in the trail (`audit.anchored`) or
 * beside a checkpoint that was kept; each is believed for its witness's key alone, which comes from the trust file. Always
 * holds: a cosignature counts only where this copy has the same signed root for its size. Keeps a few for each witness.
 */

import { formatCheckpoint, originOf } from '../chain/checkpoint.ts'
import { openCosignature, type Witness } from '../chain/cosignature.ts'
import { decodeBase64 } from '../chain/note.ts'
import type { FindingLog } from './finding-log.ts'
import type { Link } from './link.ts'
import type { KeptCheckpoint } from './since.ts'
import type { StreamVerifier } from './stream.ts'
import type { WitnessRule } from './trust.ts'

/** What somebody says that a witness has cosigned. */
interface Claim {
  readonly size: number
  /** 64 hex digits. */
  readonly root: string
  /** The signature line. */
  readonly line: string
}

/** Newest claims kept of each witness: one may be of a checkpoint that this copy does not hold. */
const claimsMax = 8

export class Cosignatures {
  readonly #rule: WitnessRule | undefined
  /** By stream, then by name of the witness; largest size first. */
  readonly #claims = new Map<string, Map<string, Claim[]>>()
  readonly #witnessedTo = new Map<string, number>()

  constructor(rule: WitnessRule | undefined, kept: readonly KeptCheckpoint[]) {
    this.#rule = rule
    for (const { stream, size, root, signatures } of kept)
      for (const line of signatures) this.#add(stream, { size, root, line })
  }

  /** Takes the record of an anchoring; what is none of a witness is passed over. */
  take({ stream: own, control }: Pick<Link, 'stream' | 'control'>): void {
    const { kind, stream = own, size, root, token } = (control?.details ?? {}) as Readonly<Record<string, unknown>>
    const hash = typeof root === 'string' ? decodeBase64(root) : undefined
    if (kind !== 'witness' || typeof stream !== 'string' || typeof token !== 'string') return
    if (typeof size === 'number' && hash !== undefined)
      this.#add(stream, { size, root: hash.toString('hex'), line: token })
  }

  /** The size up to which enough witnesses have cosigned the stream; absent where that is not asked for. */
  witnessedTo(stream: string): { witnessedTo?: number } {
    const size = this.#witnessedTo.get(stream)
    return size === undefined ? {} : { witnessedTo: size }
  }

  /** Logs what witnesses say against this copy of the stream, and which of those that are demanded say nothing of it. */
  judge(stream: StreamVerifier, { log }: { readonly log: FindingLog }): void {
    const { deployment } = stream
    const rule = this.#rule
    if (rule === undefined || deployment === undefined || !rule.isAsked(deployment, stream.stream)) return
    const sizes = rule.witnesses.map((witness) => this.#cosignedTo(witness, { stream, deployment, log }))
    const enough = [...sizes].sort((one, other) => other - one)[rule.required - 1] ?? 0
    this.#witnessedTo.set(stream.stream, enough)
    if (enough > 0) return
    const silent = rule.witnesses.filter((_, at) => sizes[at] === 0).map(({ name, keyId }) => `${name}+${keyId}`)
    const detail = `${rule.required} of ${rule.witnesses.length} witnesses must have cosigned it; no cosignature of ${silent.join(', ')} fits it`
    log.add({ verdict: 'UNWITNESSED', stream: stream.stream, detail })
  }

  #add(stream: string, claim: Claim): void {
    const name = / (\S+) /.exec(claim.line)?.[1] ?? ''
    if (this.#rule?.witnesses.every((witness) => witness.name !== name) !== false) return
    const claims = this.#claims.get(stream) ?? new Map<string, Claim[]>()
    const known = [...(claims.get(name) ?? []), claim].sort((one, other) => other.size - one.size)
    this.#claims.set(stream, claims.set(name, known.slice(0, claimsMax)))
  }

  /** The largest size that the witness has cosigned with the root of this copy; 0 without any. */
  #cosignedTo(witness: Witness, { stream, deployment, log }: Judging): number {
    const origin = originOf(deployment, stream.stream)
    for (const { size, root, line } of this.#claims.get(stream.stream)?.get(witness.name) ?? []) {
      const text = formatCheckpoint({ origin, size, root: Buffer.from(root, 'hex') })
      if (openCosignature(text, line, witness).problem !== undefined) continue
      const found = stream.signedRoot(size)?.toString('hex') ?? (stream.kept.agreedTo === size ? root : undefined)
      if (found === root) return size
      reportContradiction({ witness, stream, size, root, found }, log)
    }
    return 0
  }
}

interface Judging {
  readonly stream: StreamVerifier
  readonly deployment: string
  readonly log: FindingLog
}

interface Contradiction {
  readonly witness: Witness
  readonly stream: StreamVerifier
  readonly size: number
  readonly root: string
  readonly found: string | undefined
}

function reportContradiction({ witness, stream, size, root, found }: Contradiction, log: FindingLog): void {
  const last = stream.last?.sequence ?? 0
  const by = `witness ${witness.name}+${witness.keyId}`
  if (found !== undefined) {
    const detail = `${by} has cosigned another tree of ${size} records`
    log.add({ verdict: 'FORKED', stream: stream.stream, from: 1, to: size, expected: root, found, detail })
  } else if (last < size) {
    const detail = `${by} has cosigned ${size} records`
    log.add({ verdict: 'TRUNCATED', stream: stream.stream, from: last + 1, to: size, expected: root, detail })
  }
}
