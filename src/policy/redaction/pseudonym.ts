/**
 * Pseudonyms: `pseudonym:` and 27 characters of base64url, the same for the same value under the same key. 16 bytes are
 * the HMAC-SHA-256 of the value, 4 more that of those 16, so that who has the key knows his own pseudonyms from texts
 * that only look like one. Each HMAC is keyed with a name of its use, so that the key may serve other uses too.
 */

import { createHmac, timingSafeEqual } from 'node:crypto'
import { AuditError } from '../../errors.ts'
import { formatAddress, parseAddress } from './addresses.ts'

export const pseudonymPrefix = 'pseudonym:'
/** Whatever looks like a pseudonym. */
export const pseudonymPattern = 'pseudonym:[\\w-]{27}'
export const pseudonymKeyLengthMin = 16

/** Makes pseudonyms under one key, and knows them again. */
export interface Pseudonyms {
  /** An address counts by its value: all its forms have one pseudonym. Anything else counts letter by letter. */
  pseudonymOf(value: string): string
  isOwn(text: string): boolean
}

const form = new RegExp(`^${pseudonymPattern}$`)

/** Throws `INVALID_OPTION` for a key that is too short to keep anything secret. */
export function createPseudonyms(key: string, setting = 'redact.pseudonymKey'): Pseudonyms {
  if (key.length < pseudonymKeyLengthMin) {
    throw new AuditError(
      'INVALID_OPTION',
      `${setting} has ${key.length} characters, at least ${pseudonymKeyLengthMin}`,
      {
        setting,
        hint: 'make one with: openssl rand -base64 32',
      },
    )
  }
  const valueKey = derive(key, 'otel-audit/pseudonym/v1')
  const checkKey = derive(key, 'otel-audit/pseudonym-check/v1')
  const check = (digest: Buffer): Buffer => mac(checkKey, digest).subarray(0, 4)
  return {
    pseudonymOf: (value) => {
      const digest = mac(valueKey, countedForm(value)).subarray(0, 16)
      return pseudonymPrefix + Buffer.concat([digest, check(digest)]).toString('base64url')
    },
    isOwn: (text) => {
      if (!form.test(text)) return false
      const bytes = Buffer.from(text.slice(pseudonymPrefix.length), 'base64url')
      return timingSafeEqual(check(bytes.subarray(0, 16)), bytes.subarray(16))
    },
  }
}

function derive(key: string, use: string): Buffer {
  return mac(key, use)
}

function mac(key: string | Buffer, value: string | Buffer): Buffer {
  return createHmac('sha256', key).update(value).digest()
}

function countedForm(value: string): string {
  const address = parseAddress(value)
  return address === undefined ? value : formatAddress(address)
}
