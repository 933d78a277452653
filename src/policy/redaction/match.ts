/**
 * What a search finds in a text, and what a search is. A search is asked at one place, where a character stands that
 * its matches always have; it looks around and answers. It never changes anything and never throws.
 */

/** Every rule on content, in the order of the documents. */
export const contentRules = [
  'bearer',
  'basic',
  'jwt',
  'pem',
  'cloud_key',
  'url_credentials',
  'credential',
  'card',
  'email',
  'ipv4',
  'ipv6',
  'path',
  'pid',
] as const

export type ContentRule = (typeof contentRules)[number]

/** `[start, end)` of what must go; what shows its kind (`Bearer `, `pid=`) stands before it and stays. */
export interface Match {
  readonly rule: ContentRule
  readonly start: number
  readonly end: number
}

/** Looks around the place `at`; nothing before `from` may be taken, because it has been already. */
export type Search = (text: string, at: number, from: number) => Match | undefined
