/**
 * Requests for timestamps and what an authority answers (RFC 3161), as far as asking needs it. Whether the token is
 * good, and when it says that the text existed, is for `openssl ts -verify`, which knows certificates. Pure.
 *
 *   TimeStampReq ::= SEQUENCE { 1, SEQUENCE { SEQUENCE { sha256, NULL }, OCTET STRING hash }, nonce, certReq TRUE }
 */

import { hash } from 'node:crypto'

const sha256Algorithm = Buffer.from('300d06096086480165030402010500', 'hex')
const versionOne = Buffer.from('020101', 'hex')
const certificateWanted = Buffer.from('0101ff', 'hex')

/** The DER of a request for a timestamp over `text`; `nonce` ties the answer to it. */
export function timestampRequest(text: string, nonce: Uint8Array): Buffer {
  const imprint = der(0x30, [sha256Algorithm, der(0x04, [Buffer.from(hash('sha256', text, 'hex'), 'hex')])])
  const positive = der(0x02, [Buffer.of(0x01), nonce]) // a first byte below 0x80: never a negative integer
  return der(0x30, [versionOne, imprint, positive, certificateWanted])
}

/** Why an answer is no timestamp over `text` with this nonce, as far as that can be seen without certificates. */
export function refuseTimestamp(answer: Buffer, text: string, nonce: Uint8Array): string | undefined {
  const status = statusOf(answer)
  if (status === undefined) return 'the answer is no timestamp response'
  if (status > 1) return `the authority has refused with status ${status}`
  if (!answer.includes(Buffer.from(hash('sha256', text, 'hex'), 'hex'))) return 'the timestamp is of something else'
  return answer.includes(Buffer.concat([Buffer.of(0x01), nonce])) ? undefined : 'the timestamp answers another request'
}

/** PKIStatus: the first integer of the first sequence in the outer sequence. */
function statusOf(answer: Buffer): number | undefined {
  const info = contentOf(answer, 0x30)
  const status = info && contentOf(info, 0x30)
  const value = status && contentOf(status, 0x02)
  return value?.length === 1 ? value[0] : undefined
}

/** The content of the element at the beginning, if it has this tag. */
function contentOf(bytes: Buffer, tag: number): Buffer | undefined {
  const [found, first = 0] = bytes
  if (found !== tag) return undefined
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f
  if (lengthBytes > 4 || bytes.length < 2 + lengthBytes) return undefined
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(2, lengthBytes)
  const content = bytes.subarray(2 + lengthBytes, 2 + lengthBytes + length)
  return content.length === length ? content : undefined
}

/** Nothing of a request is longer than 127 bytes. */
function der(tag: number, parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  if (content.length > 0x7f) throw new RangeError('a request is short')
  return Buffer.concat([Buffer.of(tag, content.length), content])
}
