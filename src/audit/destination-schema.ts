/**
 * What each destination's options may be. Owns the zod schema alone: the types and what the options mean stand in
 * `destination/destination.ts`, the form of the errors in `config.ts`.
 */

import { z } from 'zod'
import { addressRule, parseAddress } from '../destination/syslog-address.ts'
import { datagramBytesMax } from '../destination/syslog-datagram.ts'
import { parseSecret, secretRule } from '../destination/webhook.ts'

const text = z.string().min(1)
const count = z.int().positive()
const httpUrl = z.url({ protocol: /^https?$/, message: 'a URL that begins with http:// or https://' })
const headers = z.record(
  z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'a name that HTTP allows for a header'),
  z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'a text that HTTP allows in a header: one line of Latin-1'),
)

const common = {
  name: text.optional(),
  flushIntervalMs: z.int().min(0).optional(),
  batchRecordsMax: count.optional(),
  batchBytesMax: count.optional(),
  fallback: z.literal('stdout').optional(),
}

const tls = z
  .strictObject({
    caFile: text.optional(),
    certFile: text.optional(),
    keyFile: text.optional(),
    serverName: text.optional(),
  })
  .refine(({ certFile, keyFile }) => (certFile === undefined) === (keyFile === undefined), {
    message: 'certFile and keyFile together, or neither',
  })

const otlp = z.strictObject({
  ...common,
  type: z.literal('otlp'),
  endpoint: httpUrl.optional(),
  protocol: z.enum(['http/protobuf', 'http/json']).optional(),
  headers: headers.optional(),
  compression: z.enum(['gzip', 'none']).optional(),
  timeoutMs: count.optional(),
  tls: tls.optional(),
})

const postgres = z.strictObject({
  ...common,
  type: z.literal('postgres'),
  url: z.url({ protocol: /^postgres(ql)?$/, message: 'postgres://user:password@host:5432/database' }),
})

const file = z.strictObject({
  ...common,
  type: z.literal('file'),
  path: text,
  maxMb: z.number().positive().optional(),
  maxAgeHours: z.number().positive().optional(),
  compress: z.union([z.boolean(), z.enum(['gzip', 'zstd'])], { message: 'true, false, gzip or zstd' }).optional(),
  maxBackups: z.int().min(0).optional(),
})

const { fallback: _, ...withoutFallback } = common
const stdout = z.strictObject({ ...withoutFallback, type: z.literal('stdout') })

/** Headers that are not the user's: they say what the body is and who signed it. */
const ownHeaders = /^(content-(type|length|encoding)|host|transfer-encoding|idempotency-key|webhook-.*)$/i

const secret = z.string().refine((given) => parseSecret(given) !== undefined, { message: secretRule })

const http = z.strictObject({
  ...common,
  type: z.literal('http'),
  endpoint: httpUrl,
  format: z.enum(['json', 'ndjson', 'splunk-hec', 'datadog', 'elastic-bulk']).optional(),
  headers: headers
    .refine((given) => !Object.keys(given).some((name) => ownHeaders.test(name)), {
      message: 'headers other than Host, Content-*, Idempotency-Key and webhook-*, which the destination sets itself',
    })
    .optional(),
  secret: z.union([secret, z.array(secret).min(1, secretRule)], { message: secretRule }).optional(),
  secretFile: text.optional(),
  compression: z.enum(['gzip', 'none']).optional(),
  timeoutMs: count.optional(),
  tls: tls.optional(),
})

const syslog = z
  .strictObject({
    ...common,
    type: z.literal('syslog'),
    address: z.string().refine((given) => parseAddress(given) !== undefined, { message: addressRule }),
    confirm: z.enum(['written', 'read']).optional(),
    facility: z.int().min(0).max(23).optional(),
    appName: text.optional(),
    hostname: text.optional(),
    enterpriseId: count.optional(),
    messageBytesMax: z.int().min(480).optional(),
    timeoutMs: count.optional(),
    tls: tls.optional(),
  })
  .refine(({ address, messageBytesMax = 0 }) => !isUdp(address) || messageBytesMax <= datagramBytesMax, {
    path: ['messageBytesMax'],
    message: `at most ${datagramBytesMax} over UDP, which is what a datagram holds`,
  })
  .refine(({ address, confirm }) => !isUdp(address) || confirm !== 'read', {
    path: ['confirm'],
    message: 'written over UDP, where nobody can know more; read needs tcp:// or tls://',
  })
  .refine(({ address, tls }) => tls === undefined || parseAddress(address)?.transport === 'tls', {
    path: ['tls'],
    message: 'absent unless the address begins with tls://',
  })

function isUdp(address: string): boolean {
  return parseAddress(address)?.transport === 'udp'
}

const s3 = z
  .strictObject({
    ...common,
    type: z.literal('s3'),
    bucket: text,
    prefix: z.string().optional(),
    region: text.optional(),
    endpoint: httpUrl.optional(),
    forcePathStyle: z.boolean().optional(),
    accessKeyId: text.optional(),
    secretAccessKey: text.optional(),
    sessionToken: text.optional(),
    compression: z.enum(['gzip', 'zstd', 'none']).optional(),
    storageClass: text.optional(),
    serverSideEncryption: z
      .strictObject({ algorithm: z.enum(['AES256', 'aws:kms']), kmsKeyId: text.optional() })
      .optional(),
    objectLock: z.strictObject({ mode: z.enum(['GOVERNANCE', 'COMPLIANCE']), days: count }).optional(),
    timeoutMs: count.optional(),
  })
  .refine(({ accessKeyId, secretAccessKey }) => (accessKeyId === undefined) === (secretAccessKey === undefined), {
    path: ['secretAccessKey'],
    message: 'together with accessKeyId, or neither: then the SDK finds them',
  })

const clickhouse = z
  .strictObject({
    ...common,
    type: z.literal('clickhouse'),
    url: z.url({ protocol: /^https?$/, message: 'http(s)://user:password@host:8123/database' }),
    table: z
      .string()
      .regex(/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$/, 'the name of a table, or of its database and the table: audit.record')
      .optional(),
    createTable: z.boolean().optional(),
    settings: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
    timeoutMs: count.optional(),
  })
  .refine(({ settings = {} }) => String(settings.wait_for_async_insert ?? 1) === '1', {
    path: ['settings'],
    message: 'settings without wait_for_async_insert: an insert that nobody waits for may be lost',
  })

const exporter = z.strictObject({
  ...common,
  type: z.literal('exporter'),
  module: text,
  export: text.optional(),
  options: z.record(z.string(), z.json()).optional(),
  timeoutMs: count.optional(),
})

/** One destination, by its `type`. */
export const destinationSchema = z.discriminatedUnion('type', [
  otlp,
  postgres,
  file,
  stdout,
  http,
  syslog,
  s3,
  clickhouse,
  exporter,
])
