/**
 * The receipts of one event: where something was hidden, by which rule and how often; never what. Bounded: what has no
 * room is added up by rule, without its place.
 */

import { type JsonObject, pointerToken } from '../../event/canonical.ts'
import { receiptPointerMax, receiptsMax, receiptsPerRuleMax } from '../../limits.ts'

/** One entry of the record's `redactions`. Pointer `''`: the places beyond the receipts' limit, added up. */
export interface Receipt extends JsonObject {
  readonly count: number
  readonly pointer: string
  /** `key:NAME`, `pointer:POINTER`, `rule:ID`, or a content rule such as `ipv4`. */
  readonly rule: string
}

export class Receipts {
  /** Keys and indices from the event down to the container being searched, as they stand after redaction. */
  readonly path: string[] = []
  readonly #listed: Receipt[] = []
  #beyond: Map<string, number> | undefined

  note(rule: string, key: string, count = 1): void {
    const listed = this.#listed
    const pointer = [...this.path, key].map((token) => `/${pointerToken(token)}`).join('')
    const sameRule = listed.length < receiptsPerRuleMax ? 0 : listed.filter((receipt) => receipt.rule === rule).length
    const hasRoom = listed.length < receiptsMax && sameRule < receiptsPerRuleMax && pointer.length <= receiptPointerMax
    if (hasRoom) {
      listed.push({ count, pointer, rule })
      return
    }
    this.#beyond ??= new Map()
    this.#beyond.set(rule, (this.#beyond.get(rule) ?? 0) + count)
  }

  noteAll(counts: ReadonlyMap<string, number>, key: string): void {
    for (const [rule, count] of counts) this.note(rule, key, count)
  }

  list(): Receipt[] {
    for (const [rule, count] of this.#beyond ?? []) this.#listed.push({ count, pointer: '', rule })
    this.#beyond = undefined
    return this.#listed
  }
}
