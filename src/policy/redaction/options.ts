/**
 * What a user may say about redaction: presets, modes and the options themselves. Plain data; `compileRedaction`
 * (redact.ts) checks what no type can say and throws `INVALID_OPTION` with the setting's name, the value and the remedy.
 */

/** Every preset, narrowest first. */
export const redactionPresets = ['off', 'default', 'daemon', 'strict'] as const

export type RedactionPreset = (typeof redactionPresets)[number]

/** What becomes of a value: every mode, the default first. */
export const redactionModes = ['mask', 'remove', 'truncate', 'pseudonym'] as const

/**
 * `mask`: `[REDACTED]` stands in its place. `remove`: it is taken out; of a list, `null` stays. `truncate`: an address
 * keeps its network (/24, /48), anything else a few first characters. `pseudonym`: `pseudonym:` and a keyed HMAC.
 */
export type RedactionMode = (typeof redactionModes)[number]

/** Places by JSON pointer (RFC 6901), in which `*` stands for any one key or index and `~2` for a literal `*`. */
export interface RedactionPointer {
  readonly pointer: string
  /** Default: `mask`. */
  readonly mode?: RedactionMode | undefined
}

/** Places of personal values, which are committed to and can be erased (docs/erasure.md). */
export interface PersonalPointer {
  readonly pointer: string
  /** Where the event says whom the value is about. Default: `/actor/id`. A `*` is what the same `*` of `pointer` has met. */
  readonly subject?: string | undefined
}

/** A rule of the user's own: what matches the pattern, wherever content rules apply. */
export interface RedactionRule {
  /** Stands in receipts as `rule:ID`. */
  readonly id: string
  /** A JavaScript regular expression without its slashes, read with the flag `u`; refused unless it is safe. */
  readonly pattern: string
  /** Whether upper and lower case are alike. Default: they are not. */
  readonly ignoreCase?: boolean | undefined
  /** Default: `mask`. */
  readonly mode?: RedactionMode | undefined
}

export interface RedactionOptions {
  /** Which content rules and key names are in force. Default: `default`. */
  readonly preset?: RedactionPreset | undefined
  /** Further key names, hidden at any depth, whatever their case. */
  readonly keys?: readonly string[] | undefined
  readonly pointers?: readonly (string | RedactionPointer)[] | undefined
  readonly rules?: readonly RedactionRule[] | undefined
  /** Another mode for a content rule (`ipv4`), a key name, or a rule's id. */
  readonly modes?: Readonly<Record<string, RedactionMode>> | undefined
  /** Needs `pseudonymKey`, because what is disclosed is kept under the pseudonym of its subject. */
  readonly personal?: readonly (string | PersonalPointer)[] | undefined
  /** What pseudonyms are made with, at least 16 characters; needed as soon as some mode is `pseudonym`. */
  readonly pseudonymKey?: string | undefined
}
