/**
 * A self-signed certificate for 127.0.0.1 with any dates, as PEM: openssl makes none that has expired. RFC 5280 section
 * 4.1 in DER, signed with Ed25519 (RFC 8410).
 */

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

export interface Certificate {
  readonly certificate: string
  readonly key: string
}

export function makeCertificate(validFrom: Date, validTo: Date): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const algorithm = sequence(oid(1, 3, 101, 112))
  const name = sequence(tlv(0x31, sequence(oid(2, 5, 4, 3), tlv(0x0c, Buffer.from('otel-audit test')))))
  const addresses = sequence(tlv(0x87, Buffer.from([127, 0, 0, 1])))
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))), // version 3
    tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    name,
    sequence(time(validFrom), time(validTo)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(sequence(oid(2, 5, 29, 17), tlv(0x04, addresses)))), // subjectAltName
  )
  const signature = tlv(0x03, Buffer.from([0]), sign(null, body, privateKey))
  return {
    certificate: pem(sequence(body, algorithm, signature)),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, ...parts)
}

function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts)
  const bytes = value.length < 0x100 ? [value.length] : [value.length >> 8, value.length & 0xff]
  const length = value.length < 0x80 ? bytes : [0x80 + bytes.length, ...bytes] // the shortest form, as DER wants
  return Buffer.concat([Buffer.from([tag, ...length]), value])
}

function oid(first: number, second: number, ...others: readonly number[]): Buffer {
  return tlv(0x06, Buffer.from([first * 40 + second, ...others])) // none of ours has an arc above 127
}

/** UTCTime, good until 2050. */
function time(at: Date): Buffer {
  const digits = at.toISOString().replace(/\D/g, '').slice(2, 14)
  return tlv(0x17, Buffer.from(`${digits}Z`))
}
