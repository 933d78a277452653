/**
 * What only the environment has: where the configuration file is, and the destinations by the names that users of
 * `AUDIT_LOG_*` and `AUDIT_TRAIL_*` know. In code and in the file a destination is an object with options; here each of
 * its options that has a name of its own is a variable. `environment-destinations.ts` makes the one of the other.
 */

import { z } from 'zod'
import { noted } from './setting-note.ts'

const text = z.string().min(1)
const count = z.int().min(1)
const webUrl = z.url({ protocol: /^https?$/, message: 'a URL that begins with http:// or https://' })
const databaseUrl = z.url({ protocol: /^postgres(ql)?$/, message: 'a URL that begins with postgres://' })

/** What `AUDIT_LOG_DESTINATION` may name. */
export const destinationNames = ['stdout', 'file', 'syslog', 'http', 'otlp', 'postgres', 's3', 'clickhouse'] as const

export type DestinationName = (typeof destinationNames)[number]

export const environmentSchema = z.strictObject({
  AUDIT_CONFIG_FILE: noted(text.optional(), {
    about: 'a JSON file of the options above; what it sets counts for less than code and environment',
    otherwise: 'none',
    example: '/etc/otel-audit/config.json',
  }),
  AUDIT_CONFIG_WATCH: noted(z.boolean().default(false), {
    about: '`true`: a change of that file is a reload ([policy.md](policy.md))',
    example: 'false',
  }),
  AUDIT_LOG_DESTINATION: noted(z.array(z.enum(destinationNames)).default(['stdout']), {
    about:
      'where records go, several with commas. While one fails its records are also printed on standard output (`fallback`), unless that is among them',
    example: 'otlp,postgres',
  }),
  AUDIT_LOG_FILE_PATH: noted(text.optional(), {
    about: 'the NDJSON file of `file`; the start fails when it cannot be written',
    otherwise: 'none; `file` needs it',
    example: '/var/log/audit/audit.ndjson',
  }),
  AUDIT_LOG_FILE_MAX_MB: noted(count.max(1_048_576).default(100), {
    about: 'where `file` begins a new file, in MiB',
    example: '100',
  }),
  AUDIT_LOG_FILE_MAX_BACKUPS: noted(z.int().min(0).default(0), {
    about: 'how many closed files of `file` stay; 0 keeps all of them, a number deletes older ones',
    example: '0',
  }),
  AUDIT_LOG_FILE_COMPRESS: noted(z.boolean().default(true), {
    about: 'whether closed files of `file` are compressed',
    example: 'true',
  }),
  AUDIT_LOG_SYSLOG_ADDRESS: noted(text.optional(), {
    about: 'the server of `syslog`: `udp://`, `tcp://` or `tls://` with host and port',
    otherwise: 'none; `syslog` needs it',
    example: 'tls://logs.example.com:6514',
  }),
  AUDIT_LOG_HTTP_ENDPOINT: noted(webUrl.optional(), {
    about: 'the URL that `http` posts to; private addresses are allowed',
    otherwise: 'none; `http` needs it',
    example: 'https://siem.example.com/audit',
  }),
  AUDIT_LOG_HTTP_SECRET: noted(text.optional(), {
    about: 'signs what `http` posts (Standard Webhooks); unsigned without',
    otherwise: 'none',
    example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    isSecret: true,
  }),
  AUDIT_LOG_HTTP_SECRET_FILE: noted(text.optional(), {
    about: 'a file that holds it, read again for each request',
    otherwise: 'none',
    example: '/run/secrets/audit-webhook',
  }),
  AUDIT_POSTGRES_URL: noted(databaseUrl.optional(), {
    about: 'the database of `postgres`',
    otherwise: 'none; `postgres` needs it',
    example: 'postgres://audit@db.example.com/audit',
    isSecret: true,
  }),
  AUDIT_S3_BUCKET: noted(text.optional(), {
    about: 'the bucket of `s3`; region and credentials as the AWS SDK finds them',
    otherwise: 'none; `s3` needs it',
    example: 'audit-trail',
  }),
  AUDIT_CLICKHOUSE_URL: noted(webUrl.optional(), {
    about: 'the server of `clickhouse`',
    otherwise: 'none; `clickhouse` needs it',
    example: 'https://audit@clickhouse.example.com:8443',
    isSecret: true,
  }),
  AUDIT_LOG_BUFFER_SIZE: noted(count.max(100_000).default(1_000), {
    about:
      'most records of one batch for destinations that are no database (`batchRecordsMax`); full, a batch is sent, nothing is dropped',
    example: '1000',
  }),
  AUDIT_TRAIL_BUFFER_ENABLED: noted(z.boolean().default(true), {
    about: '`false`: databases get each record at once and by itself; the two settings below then count for nothing',
    example: 'true',
  }),
  AUDIT_TRAIL_BUFFER_FLUSH_INTERVAL: noted(z.number().min(0).max(86_400).default(30), {
    about: 'how long records wait for company before databases get them, in seconds (`flushIntervalMs`)',
    example: '30',
  }),
  AUDIT_TRAIL_BUFFER_MAX_SIZE: noted(count.max(100_000).default(500), {
    about: 'most records of one batch for databases (`batchRecordsMax`); reached, it is sent at once',
    example: '500',
  }),
})

export type EnvironmentValues = z.output<typeof environmentSchema>
