/**
 * Everything that can be set, once: what is allowed, the defaults, and what the documents say about it. Options, the
 * environment, the configuration file, docs/configuration.md, .env.example and docs/schema/config.json all follow this
 * schema. What settings demand of each other stands in `consistency.ts`, what a profile demands in `profiles.ts`.
 */

import { z } from 'zod'
import { type Catalogue, isCatalogue } from '../event/catalogue.ts'
import { levels } from '../policy/level.ts'
import { destinationSchema } from './destination-schema.ts'
import { anchorsSchema, keysSchema, verifySchema, witnessesSchema } from './keys-schema.ts'
import { metricsSchema } from './metrics-schema.ts'
import { profiles } from './options.ts'
import { redactSchema } from './redact-schema.ts'
import { policyRuleSchema } from './rule-schema.ts'
import { noted } from './setting-note.ts'
import { spoolSchema } from './spool-schema.ts'

const text = z.string().min(1, 'a string that is not empty')
const texts = z.array(text)
const wholeNumber = z.int().min(0)
const count = z.int().min(1)
const share = z.number().min(0).max(1)
const name = z.string().regex(/^[^\s+]+$/, 'a name without white space and without +')

/** A shorter secret can be found by trying. */
const secretLengthMin = 16
const secret = z.string().min(secretLengthMin, `a string of at least ${secretLengthMin} characters`)

const profile = z.enum(profiles)
const catalogue = z.custom<Catalogue>(isCatalogue, 'a catalogue made by defineActions')

const policy = z.strictObject({
  enabled: noted(z.boolean().default(true), {
    about: '`false` records nothing, and that is said once at start ([policy.md](policy.md))',
    example: 'true',
    isReloaded: true,
  }),
  level: noted(z.enum(levels).default('writes_only'), {
    about: 'which operations are recorded ([policy.md](policy.md)); left to its default, that is said once at start',
    example: 'writes_only',
    isReloaded: true,
  }),
  excludeActions: noted(texts.default([]), {
    about: 'actions that are not recorded; a `*` at the end stands for anything',
    example: 'health_check,metrics_*',
    isReloaded: true,
  }),
  excludeResources: noted(texts.default([]), {
    about:
      'types of targets (`target.resource_type`) whose events are not recorded; a `*` at the end stands for anything',
    example: 'metric,health',
    isReloaded: true,
  }),
  sampleRate: noted(share.default(1), {
    about:
      'share of traces that is kept, 0 to 1, of everything that is no read; failures and denials are always kept; needs `policy.sampleSecret` below 1',
    example: '1',
    isReloaded: true,
  }),
  sampleReads: noted(share.default(1), {
    about: 'the same of reads',
    example: '0.1',
    isReloaded: true,
  }),
  sampleSecret: noted(secret.optional(), {
    about:
      'decides which traces are kept, so that a caller who picks trace ids cannot pick his luck; the same in all services that share traces; at least 16 characters',
    example: 'a-secret-of-this-deployment',
    isSecret: true,
    isReloaded: true,
  }),
  sampleSecretFile: noted(text.optional(), {
    about: 'a file that holds `policy.sampleSecret`; not readable by everybody',
    example: '/run/secrets/audit-sample',
    isReloaded: true,
  }),
  rules: noted(z.array(policyRuleSchema).default([]), {
    about: 'rules in order, the first that matches decides ([policy.md](policy.md))',
    example: '[{"id":"no-probes","effect":"drop","when":{"action":"probe.*"}}]',
    isReloaded: true,
  }),
  allowSuppressAll: noted(z.boolean().default(false), {
    about: '`true` allows exclusions and rules under which no event at all could be recorded; refused otherwise',
    example: 'false',
    isReloaded: true,
  }),
})

const retention = z.strictObject({
  days: noted(count.default(90), {
    about: 'how long a PostgreSQL destination keeps records ([retention.md](retention.md))',
    unit: 'days',
    example: '90',
  }),
  enabled: noted(z.boolean().default(true), {
    about: 'whether older records are removed from the database, in the background',
    example: 'true',
  }),
  batchRows: noted(count.max(1_000_000).default(10_000), {
    about: 'how many rows one step of the removal takes, so that its locks stay short',
    unit: 'rows',
    example: '10000',
  }),
  intervalMinutes: noted(count.max(1_440).default(60), {
    about: 'how often the background task looks',
    unit: 'minutes',
    example: '60',
  }),
  archive: noted(text.optional(), {
    about:
      'where records are archived to, read back and verified before they are removed: a folder, or `s3://bucket/prefix` ([retention.md](retention.md#in-a-bucket))',
    otherwise: 'none: what is past its retention is gone, and that is sealed',
    example: '/var/lib/audit-archive',
  }),
})

/** The options of `createAudit`. Parsed, every default that depends on nothing else is in place. */
export const optionsSchema = z.strictObject({
  service: noted(text.optional(), {
    about: 'name of the service, in every record',
    otherwise: '`OTEL_SERVICE_NAME`, else `unknown_service`',
    example: 'billing',
  }),
  deployment: noted(name.optional(), {
    about:
      'names the trail: origin of its checkpoints and name of its key. No white space, no `+`. Renaming it starts a new stream',
    otherwise: '`service`',
    example: 'prod',
  }),
  profile: noted(z.union([profile, z.array(profile)], `one or more of ${profiles.join(', ')}`).default([]), {
    about: 'profiles that set defaults and refuse settings ([compliance.md](compliance.md))',
    example: 'strict,soc2',
  }),
  actions: noted(catalogue.optional(), {
    about: 'the catalogue of the application’s actions, made by `defineActions` ([catalogue.md](catalogue.md))',
    otherwise: 'none',
    example: '',
    isCodeOnly: true,
  }),
  onInvalid: noted(z.enum(['record', 'suppress']).default('record'), {
    about:
      'an event that is not as the catalogue says: `record` keeps it with findings, `suppress` counts it and keeps nothing of it ([catalogue.md](catalogue.md))',
    example: 'record',
  }),
  resource: noted(z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}), {
    about:
      'attributes of the OpenTelemetry resource to keep in every record. What names a process or the addresses of a host is left out',
    example: '{"cloud.region":"eu-west-1"}',
  }),
  spool: spoolSchema.prefault({}),
  policy: policy.prefault({}),
  redact: redactSchema.prefault({}),
  keys: keysSchema.prefault({}),
  verify: verifySchema.prefault({}),
  witnesses: noted(witnessesSchema.default([]), {
    about:
      'witnesses that are asked to cosign checkpoints ([keys.md](keys.md#a-witness)): `url` without `/add-checkpoint`, `vkey` as the witness prints it, `intervalSeconds` (60) between two questions',
    otherwise: 'none',
    example:
      '[{"url":"https://witness.example.com","vkey":"w1.example.com+68581ff5+BN5TxuuCJ5nX/tkHeDRhw4ijQKG7IE0JSDzEbSRdPu5W"}]',
  }),
  anchors: anchorsSchema.prefault({}),
  destinations: noted(z.array(destinationSchema).default([]), {
    about: 'where records go ([Destinations](#destinations)); without any, the spool keeps them',
    example: '[{"type":"otlp"}]',
    isSecret: true,
  }),
  delivery: noted(z.enum(['thread', 'external']).default('thread'), {
    about:
      '`thread`: a worker thread delivers. `external`: a sidecar does, `otel-audit forward --spool` ([operations.md](operations.md#a-sidecar-delivers))',
    example: 'thread',
  }),
  async: noted(z.boolean().default(true), {
    about:
      '`false`: `emitRequired` waits until the first `postgres` destination has the record, unless the call names something else; needs such a destination',
    example: 'true',
  }),
  outbox: z
    .strictObject({
      url: noted(
        z
          .string()
          .regex(/^postgres(ql)?:\/\//i, 'a URL that begins with postgres://')
          .optional(),
        {
          about:
            'PostgreSQL database whose outbox (`audit.tx`, [postgres.md](postgres.md)) is sealed from a thread of this process; may be the same in any number of processes, with one signing key',
          otherwise: 'none: another process seals it',
          example: 'postgres://audit_relay@db.example/app',
          isSecret: true,
        },
      ),
      standbys: noted(wholeNumber.optional(), {
        about:
          'how many standbys of the database, whichever, must hold a record of the journal before it is signed and exported ([postgres.md](postgres.md#standbys)); `0`: only those that the commits of the server wait for themselves',
        otherwise:
          'those that `synchronous_standby_names` demands; where it is empty, one of those that the server has',
        example: '1',
      }),
    })
    .prefault({}),
  metrics: metricsSchema.prefault({}),
  retention: retention.prefault({}),
  closeTimeoutMs: noted(wholeNumber.default(5_000), {
    about: 'how long `close` waits for destinations; what is left is sent at the next start',
    unit: 'milliseconds',
    example: '5000',
  }),
  handleSignals: noted(z.boolean().default(false), {
    about:
      '`true` closes the trail at SIGTERM and then lets the signal end the process, unless the application listens to it too; in the main thread only',
    example: 'false',
  }),
  workerUrl: noted(z.union([text, z.instanceof(URL)], 'a URL or path').optional(), {
    about: 'URL of the module `otel-audit/worker`, where a bundler has moved it',
    otherwise: 'beside the package',
    example: 'file:///app/dist/worker.js',
  }),
})

export type ParsedOptions = z.output<typeof optionsSchema>
