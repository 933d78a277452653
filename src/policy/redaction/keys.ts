/**
 * Key names whose values are hidden wherever they stand. Names compare without case, white space, `-` and `_`, so that
 * `api_key`, `apiKey` and `X-API-Key` have one form each; of a dotted name the last part counts too.
 */

import { digit, runStart } from './chars.ts'
import type { RedactionPreset } from './options.ts'

/** Key names whose values are secrets, in normal form. */
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

/** Names that tell which process it was. */
export const processKeys: readonly string[] = ['pid', 'ppid']

/** Names under which people are described. */
export const personalKeys: readonly string[] = [
  'accountnumber',
  'birthdate',
  'cardnumber',
  'creditcard',
  'cvc',
  'cvv',
  'dateofbirth',
  'dob',
  'email',
  'emailaddress',
  'iban',
  'mobile',
  'nationalid',
  'passportnumber',
  'phone',
  'phonenumber',
  'pin',
  'postaladdress',
  'socialsecuritynumber',
  'ssn',
  'streetaddress',
  'taxid',
]

export const keysByPreset: Readonly<Record<RedactionPreset, readonly string[]>> = {
  off: [],
  default: secretKeys,
  daemon: [...secretKeys, ...processKeys],
  strict: [...secretKeys, ...processKeys, ...personalKeys],
}

/** The normal form of a key name. */
export function normalizeKey(key: string): string {
  return key
    .toWellFormed()
    .toLowerCase()
    .replace(/[-_\s]/g, '')
}

/** The name among these that makes a key secret. The copy of an equal key (`token#2`) counts as that key. */
export function secretNameOf(key: string, names: ReadonlySet<string>): string | undefined {
  const name = normalizeKey(withoutCopyNumber(key))
  if (names.has(name)) return name
  const part = name.slice(name.lastIndexOf('.') + 1)
  return names.has(part) ? part : undefined
}

function withoutCopyNumber(key: string): string {
  let end = key.length
  for (;;) {
    const start = runStart(key, end, { kinds: digit })
    if (start === end || key[start - 1] !== '#') return key.slice(0, end)
    end = start - 1
  }
}
