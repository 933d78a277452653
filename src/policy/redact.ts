/**
 * Redaction by key name: what stands under a secret's name, at any depth, is replaced before the record is sealed.
 * The receipts go into the record and tell where and by which rule, never what. Idempotent: a second pass finds
 * nothing. Names compare without case, `-` and `_`, so that `api_key`, `apiKey` and `X-API-Key` have one form each.
 */

import { type JsonObject, type JsonValue, pointerToken } from '../event/canonical.ts'
import type { ConvertedEvent } from '../event/converted-event.ts'
import { receiptPointerMax, receiptsMax, receiptsPerRuleMax } from '../limits.ts'
import type { RedactionOptions } from './redaction/options.ts'

/** What stands for every redacted value. */
export const redactedText = '[REDACTED]'

/** One entry of the record's `redactions`. Pointer `''`: the places beyond the receipts' limit, added up. */
export interface Receipt extends JsonObject {
  readonly count: number
  readonly pointer: string
  /** `key:` and the name in its normal form. */
  readonly rule: string
}

export interface Redaction {
  /** Every rule in force, sorted: part of what the policy's hash stands for. */
  readonly rules: readonly string[]
  /** Redacts the event in place; the caller puts the receipts into its `redactions`. */
  redact(event: ConvertedEvent): Receipt[]
}

/** Key names whose values are secrets wherever they stand, in normal form. */
export const secretKeys: readonly string[] = [
  'accesskey',
  'accesstoken',
  'apikey',
  'apisecret',
  'apitoken',
  'authorization',
  'authtoken',
  'awssecretaccesskey',
  'bearertoken',
  'clientsecret',
  'connectionstring',
  'cookie',
  'credential',
  'credentials',
  'csrftoken',
  'databaseurl',
  'encryptionkey',
  'hmackey',
  'hmacsecret',
  'idtoken',
  'jwt',
  'masterkey',
  'passphrase',
  'passwd',
  'password',
  'passwordhash',
  'privatekey',
  'proxyauthorization',
  'pwd',
  'refreshtoken',
  'secret',
  'secretaccesskey',
  'secretkey',
  'sessioncookie',
  'sessiontoken',
  'setcookie',
  'signingkey',
  'token',
  'webhooksecret',
  'xamzsecuritytoken',
  'xapikey',
  'xauthtoken',
  'xcsrftoken',
]

/** What is searched of an event. The other members have a fixed form that cannot hold a secret. */
const texts = ['correlation_id', 'grant', 'reason', 'session', 'tenant'] as const
const containers = ['actor', 'changes', 'details', 'error', 'request', 'resource', 'target', 'targets'] as const

export function compileRedaction({ preset = 'default', keys = [] }: RedactionOptions = {}): Redaction {
  const names = new Set([...(preset === 'off' ? [] : secretKeys), ...keys.map(normalizeKey)])
  const ruleOf = rememberRules((key) => findRule(key, names))
  const secretTexts = texts.flatMap((name) => {
    const rule = ruleOf(name)
    return rule === null ? [] : [{ name, rule }]
  })
  return {
    rules: [...names].sort().map((name) => `key:${name}`),
    redact: (event) => redactEvent(event, secretTexts, { ruleOf, path: [], receipts: [], beyond: undefined }),
  }
}

/** The normal form of a key name. */
export function normalizeKey(key: string): string {
  return key
    .toWellFormed()
    .toLowerCase()
    .replace(/[-_\s]/g, '')
}

/** The walk through one event. */
interface Search {
  /** The rule under which a key is secret; null for any other. */
  readonly ruleOf: (key: string) => string | null
  readonly path: string[]
  readonly receipts: Receipt[]
  /** Counts by rule of what the receipts have no room for. */
  beyond: Map<string, number> | undefined
}

/** A text member of the event whose own name is secret, and its rule. */
interface SecretText {
  readonly name: (typeof texts)[number]
  readonly rule: string
}

function redactEvent(event: ConvertedEvent, secretTexts: readonly SecretText[], search: Search): Receipt[] {
  for (const { name, rule } of secretTexts) {
    if (event[name] === undefined || event[name] === redactedText) continue
    event[name] = redactedText
    noteReceipt(search, rule, name)
  }
  for (const name of containers) {
    const value = event[name]
    if (value !== undefined) searchMember(value, name, search)
  }
  for (const [rule, count] of search.beyond ?? []) search.receipts.push({ count, pointer: '', rule })
  return search.receipts
}

function searchMember(value: JsonValue, key: string, search: Search): void {
  search.path.push(key)
  if (Array.isArray(value)) searchElements(value, search)
  else if (typeof value === 'object' && value !== null) searchMembers(value, search)
  search.path.pop()
}

function searchElements(elements: readonly JsonValue[], search: Search): void {
  for (let index = 0; index < elements.length; index++) {
    const element = elements[index]
    if (typeof element === 'object' && element !== null) searchMember(element, String(index), search)
  }
}

function searchMembers(members: JsonObject, search: Search): void {
  for (const key of Object.keys(members)) {
    const value = members[key]
    const rule = search.ruleOf(key)
    if (rule === null) {
      if (typeof value === 'object' && value !== null) searchMember(value, key, search)
    } else if (value !== redactedText) {
      members[key] = redactedText
      noteReceipt(search, rule, key)
    }
  }
}

function noteReceipt(search: Search, rule: string, key: string): void {
  const { path, receipts } = search
  const pointer = [...path, key].map((token) => `/${pointerToken(token)}`).join('')
  const sameRule = receipts.length < receiptsPerRuleMax ? 0 : receipts.filter((receipt) => receipt.rule === rule).length
  const hasRoom = receipts.length < receiptsMax && sameRule < receiptsPerRuleMax && pointer.length <= receiptPointerMax
  if (hasRoom) {
    receipts.push({ count: 1, pointer, rule })
    return
  }
  search.beyond ??= new Map()
  search.beyond.set(rule, (search.beyond.get(rule) ?? 0) + 1)
}

/** A name counts in full, as the last part of a dotted one, and as the copy of an equal key (`token#2`). */
function findRule(key: string, names: ReadonlySet<string>): string | null {
  const name = normalizeKey(key.replace(/(?:#\d+)+$/, ''))
  if (names.has(name)) return `key:${name}`
  const part = name.slice(name.lastIndexOf('.') + 1)
  return names.has(part) ? `key:${part}` : null
}

/** Programs use the same few keys again and again; only keys made of data would fill the memory. */
function rememberRules(find: (key: string) => string | null): (key: string) => string | null {
  const known = new Map<string, string | null>()
  return (key) => {
    const rule = known.get(key)
    if (rule !== undefined) return rule
    const found = find(key)
    if (known.size === rememberedKeysMax) known.clear()
    if (key.length <= rememberedKeyLengthMax) known.set(key, found)
    return found
  }
}

const rememberedKeysMax = 4_096
const rememberedKeyLengthMax = 64
