/**
 * Classes of characters and runs of them: what every search in a text is made of. A run is walked once, character by
 * character, so that the time of a search can be read off its code. Beyond ASCII only letters and digits are told apart.
 */

export const digit = 1
export const hexLetter = 2
export const letter = 4
/** `_` and `-`, which with letters and digits make up most tokens. */
export const joiner = 8
/** What base64 and tokens of RFC 6750 have besides: `.~+/=`. */
export const tokenSign = 16
/** What the name before an `@` may hold besides: RFC 5322 `atext`, and the dot. */
export const mailSign = 32
/** White space and control characters. */
export const space = 64
export const quote = 128
/** What ends an unquoted value or path: `<>|&;` */
export const stop = 256

export const hex = digit | hexLetter
export const alphanumeric = digit | letter
export const word = alphanumeric | joiner

const classes = new Uint16Array(128)
const classify = (characters: string, kind: number): void => {
  for (const character of characters) classes[character.charCodeAt(0)] = classOf(character.charCodeAt(0)) | kind
}
classify('0123456789', digit)
classify('abcdefABCDEF', hexLetter)
classify('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', letter)
classify('_-', joiner)
classify('.~+/=', tokenSign)
classify("!#$%&'*+/=?^_`{|}~-.", mailSign)
classify('"\'`', quote)
classify('<>|&;', stop)
for (let code = 0; code <= 32; code++) classes[code] = space
classes[127] = space

/** The classes of a UTF-16 unit; none beyond ASCII and for no unit at all (`NaN`). */
export function classOf(code: number): number {
  return code < 128 ? (classes[code] as number) : 0
}

/** Whether the character at this place is of one of these classes; outside the text there is none. */
export function isAt(text: string, at: number, kinds: number): boolean {
  const code = text.charCodeAt(at)
  return code < 128 && ((classes[code] as number) & kinds) !== 0
}

/** Where the run of these classes that begins at `from` ends, at most at `to`. */
export function runEnd(text: string, from: number, { kinds, to = text.length }: Run): number {
  let end = from
  while (end < to && isAt(text, end, kinds)) end++
  return end
}

/** Where the run of these classes that ends at `to` begins, at least at `from`. */
export function runStart(text: string, to: number, { kinds, from = 0 }: BackwardRun): number {
  let start = to
  while (start > from && isAt(text, start - 1, kinds)) start--
  return start
}

/** Where what is of none of these classes ends. */
export function runEndBefore(text: string, from: number, { kinds, to = text.length }: Run): number {
  let end = from
  while (end < to && !isAt(text, end, kinds)) end++
  return end
}

interface Run {
  readonly kinds: number
  readonly to?: number | undefined
}

interface BackwardRun {
  readonly kinds: number
  readonly from?: number | undefined
}
