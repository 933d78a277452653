/**
 * Sets of characters, as far as the analysis of a pattern needs them: exact up to U+02FF; all characters beyond count
 * as one, which is in a set as soon as any of them may be. So two sets that are told apart have nothing in common.
 */

const exactEnd = 0x300

/** One flag for each character up to U+02FF, and one for all others. */
export type CharacterSet = Uint8Array

export const emptySet: CharacterSet = new Uint8Array(exactEnd + 1)
export const everything: CharacterSet = new Uint8Array(exactEnd + 1).fill(1)
export const words = charactersOf('\\w', false)
export const nonWords: CharacterSet = words.map((flag, index) => (index === exactEnd ? 1 : 1 - flag))

/** What one character of a pattern, a class or an escape matches, as a pattern with the flag `u` reads it. */
export function charactersOf(raw: string, ignoreCase: boolean): CharacterSet {
  const single = new RegExp(`^(?:${raw})$`, ignoreCase ? 'iu' : 'u')
  const set = new Uint8Array(exactEnd + 1)
  for (let code = 0; code < exactEnd; code++) set[code] = single.test(String.fromCharCode(code)) ? 1 : 0
  set[exactEnd] = mayReachBeyond(raw) || single.test('\u212a') ? 1 : 0
  return set
}

export function union(a: CharacterSet, b: CharacterSet): CharacterSet {
  return a.map((flag, index) => flag | (b[index] ?? 0))
}

export function intersects(a: CharacterSet, b: CharacterSet): boolean {
  return a.some((flag, index) => flag === 1 && b[index] === 1)
}

export function isWithin(inner: CharacterSet, outer: CharacterSet): boolean {
  return inner.every((flag, index) => flag === 0 || outer[index] === 1)
}

/** Whether it is anything but plain characters, their ranges and the escapes `\d` and `\w`. */
function mayReachBeyond(raw: string): boolean {
  return !/^(?:[\x20-\x2d\x2f-\x5b\x5d\x5f-\x7e]|\\[dwtnr.*+?^$(){}|[\]/\\-])+$/.test(raw) || raw.startsWith('[^')
}
