/**
 * Personal values that records commit to: whether what a database discloses is what was committed to, and whether what it
 * does not disclose was erased with the trail's own word (`audit.erased`). Other copies never held a value, and are held to
 * nothing. A value that is gone without a word is no finding: a copy may have been made without disclosures.
 */

import { parseRecord } from '../event/record.ts'
import type { FindingLog } from './finding-log.ts'
import type { Link } from './link.ts'
import type { Finding } from './report.ts'
import type { FoundRecord, Source } from './source.ts'

/** Digests kept of values that are not disclosed; what is beyond is counted alone. */
const missingMax = 1_000_000

export class Erasures {
  readonly #source: Source
  readonly #log: FindingLog
  /** The stream of each commitment that is not disclosed. */
  readonly #missing = new Map<string, string>()
  #uncounted = 0
  /** What records say was erased, whether they count or not. */
  readonly #said = new Set<string>()
  #stillThere: readonly string[] = []

  constructor(source: Source, log: FindingLog) {
    this.#source = source
    this.#log = log
  }

  /** Holds what stands beside a record to what it commits to. */
  take({ bytes, position, disclosed, place }: FoundRecord): void {
    if (disclosed === undefined) return
    const {
      commitments = {},
      stream = place?.stream ?? '',
      seq: sequence = place?.sequence ?? 0,
    } = parseRecord(bytes) ?? {}
    const committed = new Set(Object.values(commitments).filter((one) => typeof one === 'string'))
    const where = this.#source.locate(position)
    for (const { digest: expected, found } of disclosed) {
      const isKnown = committed.delete(expected)
      if (isKnown && found === expected) continue
      const detail = isKnown
        ? 'the disclosed value is not the one that the record commits to'
        : 'a value is disclosed to which the record does not commit'
      this.#log.add({ verdict: 'CONTENT_TAMPERED', stream, sequence, expected, found, where, detail })
    }
    for (const digest of committed) {
      if (this.#missing.size < missingMax) this.#missing.set(digest, stream)
      else this.#uncounted += 1
    }
  }

  /** Hears a record `audit.erased`. */
  hear(link: Link): void {
    for (const digest of digestsIn(link)) this.#said.add(digest)
  }

  /** Asks what is still there of what was said to be erased. Behind the last record. */
  async ask(): Promise<void> {
    if (this.#said.size > 0) this.#stillThere = (await this.#source.readDisclosed?.([...this.#said])) ?? []
  }

  /** What became of the values, by the records `audit.erased` that count. */
  conclude(statements: readonly Link[]): Finding[] {
    const erased = new Set(statements.flatMap(digestsIn))
    for (const digest of this.#stillThere) {
      if (!erased.has(digest)) continue
      const detail =
        'a value is disclosed that the trail says was erased: a copy of before was restored; erase it again'
      this.#log.add({ verdict: 'PROJECTION_MISMATCH', found: digest, detail })
    }
    if (this.#source.readDisclosed === undefined) return statements.map((link) => this.#sayAlone(link))
    const [gone, absent] = [new Map<string, number>(), new Map<string, number>()]
    for (const [digest, stream] of this.#missing) {
      const counts = erased.has(digest) ? gone : absent
      counts.set(stream, (counts.get(stream) ?? 0) + 1)
    }
    return [
      ...[...gone].map(([stream, count]) =>
        this.#say('ERASED', stream, `${count} personal values were erased, which the trail says itself`),
      ),
      ...[...absent].map(([stream, count]) =>
        this.#say(
          'INTACT',
          stream,
          `${count} personal values are not disclosed here, and nothing says that they were erased`,
        ),
      ),
      ...(this.#uncounted === 0
        ? []
        : [this.#say('INTACT', undefined, `${this.#uncounted} more are not disclosed here`)]),
    ]
  }

  #sayAlone(link: Link): Finding {
    return this.#say(
      'ERASED',
      link.stream,
      `${digestsIn(link).length} personal values were erased, says record ${link.sequence}`,
    )
  }

  #say(verdict: 'ERASED' | 'INTACT', stream: string | undefined, detail: string): Finding {
    return { verdict, source: this.#source.name, ...(stream !== undefined && { stream }), detail }
  }
}

function digestsIn({ control }: Link): string[] {
  const { subject_digests: digests } = (control?.details ?? {}) as { readonly subject_digests?: unknown }
  return Array.isArray(digests) ? digests.filter((one) => typeof one === 'string') : []
}
