/**
 * Tokens in texts. JSON Web Tokens and the keys of clouds and services show themselves by how they begin, and are
 * searched in runs of the characters that tokens are made of; bearer and basic credentials stand behind their
 * scheme's name, PEM blocks between their lines. The prefixes are those that their issuers publish.
 */

import { alphanumeric, digit, isAt, joiner, letter, runEnd, space, tokenSign } from './chars.ts'
import type { Match } from './match.ts'

/** No token of these kinds is shorter. */
export const tokenLengthMin = 16

/**
 * How each issuer's keys begin, and what follows. Each alternative ends with its only repetition, so that an attempt
 * either fails within some forty characters or takes what it has walked.
 */
export const keyPatterns: readonly { readonly issuer: string; readonly pattern: string }[] = [
  { issuer: 'AWS access key id', pattern: '(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z2-7]{16}' },
  { issuer: 'Google API key', pattern: 'AIza[\\w-]{35}' },
  { issuer: 'Google OAuth client secret', pattern: 'GOCSPX-[\\w-]{20,}' },
  { issuer: 'Google OAuth access token', pattern: 'ya29\\.[\\w.-]{20,}' },
  { issuer: 'Azure AD client secret', pattern: '[\\w.~-]{3}[78]Q~[\\w.~-]{31,34}' },
  { issuer: 'GitHub', pattern: 'gh[oprsu]_[A-Za-z0-9]{36,}' },
  { issuer: 'GitHub fine-grained', pattern: 'github_pat_[A-Za-z0-9_]{22,}' },
  { issuer: 'GitLab', pattern: 'gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|oas|soat|ffct|wt)-[\\w-]{20,}' },
  { issuer: 'Slack', pattern: 'xox[a-z]-[A-Za-z0-9-]{10,}' },
  { issuer: 'Slack app', pattern: 'xapp-[A-Za-z0-9-]{10,}' },
  { issuer: 'Stripe', pattern: '[prs]k_(?:live|test)_[A-Za-z0-9]{10,}' },
  { issuer: 'webhook secret (Stripe, Standard Webhooks)', pattern: 'whsec_[A-Za-z0-9]{10,}' },
  { issuer: 'OpenAI, Anthropic and others', pattern: 'sk-[\\w-]{20,}' },
  { issuer: 'Hugging Face', pattern: 'hf_[A-Za-z0-9]{30,}' },
  { issuer: 'npm', pattern: 'npm_[A-Za-z0-9]{36}' },
  { issuer: 'PyPI', pattern: 'pypi-[\\w-]{20,}' },
  { issuer: 'SendGrid', pattern: 'SG\\.[\\w-]{20}[\\w.-]{10,}' },
  { issuer: 'DigitalOcean', pattern: 'do[opr]_v1_[a-f0-9]{64}' },
  { issuer: 'Docker', pattern: 'dckr_(?:pat|oat)_[\\w-]{20,}' },
  { issuer: 'Databricks', pattern: 'dapi[a-f0-9]{32}' },
  { issuer: 'HashiCorp Vault', pattern: 'hv[sbr]\\.[\\w-]{20,}' },
  { issuer: 'Shopify', pattern: 'shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}' },
  { issuer: 'Atlassian', pattern: 'AT(?:ATT|CTT|BB)[\\w-]{20,}' },
  { issuer: 'Grafana', pattern: 'gl(?:sa|c)_[\\w-]{20,}' },
  { issuer: 'Linear', pattern: 'lin_(?:api|oauth)_[A-Za-z0-9]{20,}' },
  { issuer: 'Twilio', pattern: 'SK[a-f0-9]{32}' },
  { issuer: 'age', pattern: 'AGE-SECRET-KEY-1[A-Z0-9]{20,}' },
]

const anyKey = new RegExp(keyPatterns.map(({ pattern }) => pattern).join('|'), 'g')

/** The first key at `from` or later in a run of letters, digits and `_-.~`. */
export function findKey(run: string, from: number): Match | undefined {
  anyKey.lastIndex = from
  const found = anyKey.exec(run)
  return found === null ? undefined : { rule: 'cloud_key', start: found.index, end: anyKey.lastIndex }
}

/** Header, payload and signature of the first JSON Web Token at `from` or later in such a run; of a JWE all five parts. */
export function findJwt(run: string, from: number): Match | undefined {
  for (let start = run.indexOf('eyJ', from); start >= 0; start = run.indexOf('eyJ', start)) {
    const headerEnd = run.indexOf('.', start)
    if (headerEnd < 0) return undefined
    const payloadEnd = partEnd(run, headerEnd + 1)
    const isToken = headerEnd - start >= 10 && payloadEnd - headerEnd > 4
    if (isToken) return { rule: 'jwt', start, end: laterPartsEnd(run, payloadEnd) }
    start = headerEnd // what begins within this header would end with it too
  }
  return undefined
}

function partEnd(run: string, from: number): number {
  return runEnd(run, from, { kinds: alphanumeric | joiner })
}

function laterPartsEnd(run: string, payloadEnd: number): number {
  let end = payloadEnd
  while (run[end] === '.' && isAt(run, end + 1, alphanumeric | joiner)) end = partEnd(run, end + 1)
  return end
}

/** The token behind `Bearer` and the white space at `at`; words such as `Bearer authentication` are none. */
export function findBearer(text: string, at: number, from: number): Match | undefined {
  if (!endsWithWord(text, at, { word: 'bearer', from })) return undefined
  const start = runEnd(text, at, { kinds: space, to: at + 8 })
  const end = runEnd(text, start, { kinds: alphanumeric | joiner | tokenSign })
  const isToken = end - start >= 8 && (end - start >= 24 || hasOtherThanWords(text, start, end))
  return isToken ? { rule: 'bearer', start, end } : undefined
}

/** Name and password in base64 behind `Basic` and the white space at `at`. */
export function findBasic(text: string, at: number, from: number): Match | undefined {
  if (!endsWithWord(text, at, { word: 'basic', from })) return undefined
  const start = runEnd(text, at, { kinds: space, to: at + 8 })
  const end = runEnd(text, start, { kinds: alphanumeric | tokenSign })
  const hasColon = end - start >= 4 && Buffer.from(text.slice(start, end), 'base64').includes(':')
  return hasColon ? { rule: 'basic', start, end } : undefined
}

/** The block that begins with the dashes at `at`, to the line of its end; without one, to the end of the text. */
export function findPem(text: string, at: number): Match | undefined {
  if (!text.startsWith('-----BEGIN ', at)) return undefined
  const label = text.slice(at, at + 64)
  if (!/^-----BEGIN [A-Z0-9 ]{1,40}-----/.test(label)) return undefined
  const last = text.indexOf('-----END ', at)
  if (last < 0) return { rule: 'pem', start: at, end: text.length }
  const dashes = text.slice(last + 9, last + 64).indexOf('-----')
  return { rule: 'pem', start: at, end: dashes < 0 ? last + 9 : last + 14 + dashes }
}

function endsWithWord(
  text: string,
  end: number,
  { word, from }: { readonly word: string; readonly from: number },
): boolean {
  const start = end - word.length
  return start >= from && text.slice(start, end).toLowerCase() === word && !isAt(text, start - 1, alphanumeric)
}

function hasOtherThanWords(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const isOther = isAt(text, at, digit) || (isAt(text, at, joiner | tokenSign) && at < end - 1)
    if (isOther || (at > start && isAt(text, at, letter) && text[at] !== text[at]?.toLowerCase())) return true
  }
  return false
}
