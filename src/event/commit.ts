/**
 * Commitments: what stands in a record in the place of a personal value (docs/formats.md section 1d). Pure but for the salt.
 *
 *   disclosure = base64url(JSON [salt, pointer, value])   salt: 16 random bytes, base64url
 *   commitment = base64url(SHA-256(disclosure))           in the record, under the pointer
 *
 * Whoever has the disclosure can show that the record commits to it; whoever has the record alone cannot even guess, for
 * the salt is as long as a key. The disclosure is never a part of the record: who deletes it erases the value.
 */

import { hash, randomBytes } from 'node:crypto'
import { type JsonValue, stringifySorted } from './canonical.ts'

const saltBytes = 16

/** A value that can be shown to be what a record commits to, and whom it is about. */
export interface Disclosure {
  /** Pseudonym of the person. */
  readonly subject: string
  /** Base64url; what the commitment is the digest of. */
  readonly text: string
}

/** What a disclosure says. */
export interface Disclosed {
  readonly pointer: string
  readonly value: JsonValue
}

/** A fresh disclosure of the value at a place: no two are equal, whatever they disclose. */
export function discloseValue(pointer: string, value: JsonValue): string {
  const salt = randomBytes(saltBytes).toString('base64url')
  return Buffer.from(stringifySorted([salt, pointer, value], false)).toString('base64url')
}

/** The commitment to a disclosure. */
export function commitmentTo(disclosure: string): string {
  return hash('sha256', disclosure, 'base64url')
}

const disclosureForm = /^[\w-]+$/

/** What a disclosure says; `undefined` for what is none. Never throws. */
export function readDisclosure(disclosure: string): Disclosed | undefined {
  if (!disclosureForm.test(disclosure)) return undefined
  const parsed = parseJson(Buffer.from(disclosure, 'base64url').toString('utf8'))
  if (!Array.isArray(parsed) || parsed.length !== 3) return undefined
  const [salt, pointer, value] = parsed as [unknown, unknown, JsonValue]
  return typeof salt === 'string' && typeof pointer === 'string' ? { pointer, value } : undefined
}

/**
 * The disclosures of one event, on their way beside its record. They show in no JSON, no log and no copy of the event:
 * whoever wants them must ask.
 */
export class Disclosures {
  readonly #list: Disclosure[] = []
  #bytes = 0

  add(one: Disclosure): void {
    this.#list.push(one)
    this.#bytes += one.text.length
  }

  get list(): readonly Disclosure[] {
    return this.#list
  }

  /** Of all texts together. */
  get bytes(): number {
    return this.#bytes
  }
}

/** As they stand beside a record: a JSON object of lists, by subject. */
export function encodeDisclosures({ list }: Pick<Disclosures, 'list'>): string {
  const bySubject = new Map<string, string[]>()
  for (const { subject, text } of list) {
    const texts = bySubject.get(subject)
    if (texts === undefined) bySubject.set(subject, [text])
    else texts.push(text)
  }
  return JSON.stringify(Object.fromEntries(bySubject))
}

/** What goes beside a record into the spool, if anything does. */
export function attachmentOf(disclosures: Disclosures | undefined): Uint8Array | undefined {
  return disclosures === undefined ? undefined : Buffer.from(encodeDisclosures(disclosures))
}

const subjectForm = /^[\w:.-]{1,256}$/

/** The disclosures that `encodeDisclosures` was given; what is none is left out. Never throws. */
export function decodeDisclosures(text: string): Disclosures {
  const disclosures = new Disclosures()
  const parsed = parseJson(text)
  if (typeof parsed !== 'object' || parsed === null) return disclosures
  for (const [subject, texts] of Object.entries(parsed)) {
    if (!subjectForm.test(subject) || !Array.isArray(texts)) continue
    for (const one of texts) {
      if (typeof one === 'string' && readDisclosure(one) !== undefined) disclosures.add({ subject, text: one })
    }
  }
  return disclosures
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // the caller says what comes of it
  }
}
