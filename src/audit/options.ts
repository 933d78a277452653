/**
 * The options of `createAudit`, as TypeScript sees them. What is allowed, the defaults and the longer descriptions stand
 * in `schema.ts`; a test holds the two against each other.
 */

import type { DestinationOptions } from '../destination/destination.ts'
import type { Catalogue } from '../event/catalogue.ts'
import type { OnInvalid } from '../event/catalogue-check.ts'
import type { SignerOptions } from '../forward/signing-thread.ts'
import type { Level } from '../policy/level.ts'
import type { RedactionOptions } from '../policy/redaction/options.ts'
import type { PolicyRule } from '../policy/rules.ts'
import type { MetricsRegistry } from './metric.ts'

/** Options of `createAudit`. Every member has a default; optional members accept `undefined`. */
export interface AuditOptions {
  /** Name of the service, a member of every record. Default: `OTEL_SERVICE_NAME`, else `unknown_service`. */
  readonly service?: string | undefined
  /** Names the trail: origin of its checkpoints and name of its key. No white space, no `+`. Default: `service`. */
  readonly deployment?: string | undefined
  /** Profiles that set defaults and refuse settings (docs/compliance.md). Default: none. */
  readonly profile?: Profile | readonly Profile[] | undefined
  /** What the application says about its actions, made by `defineActions` (docs/catalogue.md). Default: none. */
  readonly actions?: Catalogue | undefined
  /** An event that is not as its action's definition says: recorded with findings, or not at all. Default: `record`. */
  readonly onInvalid?: OnInvalid | undefined
  /** Attributes of the OpenTelemetry resource to keep in every record. Default: none. */
  readonly resource?: Readonly<Record<string, string | number | boolean>> | undefined
  readonly spool?: SpoolOptions | undefined
  readonly policy?: PolicySettings | undefined
  readonly redact?: RedactSettings | undefined
  readonly keys?:
    | {
        /** The key itself, PKCS#8 PEM, instead of a file: from a secret store, or `AUDIT_KEYS_SIGNING_KEY`. */
        readonly signingKey?: string | undefined
        /** PKCS#8 PEM, mode 0600; made on first use. Default: `audit.key` in the spool directory, with a warning. */
        readonly signingKeyFile?: string | undefined
        /**
         * A signer outside of the process, in the place of a key: a module that exports `createSigner(options)`, which
         * gives `{ sign(text: Uint8Array): Promise<Uint8Array> }`, and its verifier key (docs/keys.md).
         */
        readonly signer?: SignerOptions | undefined
        /** The rotations that led to this key. Default: the file of the key and `.rotations`. */
        readonly rotationsFile?: string | undefined
      }
    | undefined
  /** Where records go. Default: nowhere; the spool keeps them. */
  readonly destinations?: readonly DestinationOptions[] | undefined
  /** Who delivers: a worker `thread`, or a sidecar (`external`: `otel-audit forward --spool`). Default: `thread`. */
  readonly delivery?: 'thread' | 'external' | undefined
  /** `false`: `emitRequired` waits for the database, unless the call says otherwise. Default: `true`. */
  readonly async?: boolean | undefined
  readonly outbox?:
    | {
        /**
         * PostgreSQL database whose outbox (`audit.tx`) is sealed from a thread of this process; may be the same in any
         * number of processes, with one signing key. Default: none, another process seals it.
         */
        readonly url?: string | undefined
        /**
         * How many standbys of the database, whichever, must hold a record of the journal before it is signed and exported;
         * 0: only those that the commits of the server wait for themselves. Default: those that
         * `synchronous_standby_names` demands; where it is empty, one of those that the server has.
         */
        readonly standbys?: number | undefined
      }
    | undefined
  readonly metrics?: MetricsSettings | undefined
  readonly retention?: RetentionSettings | undefined
  readonly verify?:
    | {
        /** How often a thread verifies the spool while the service runs; 0: never. Default: 1440, once a day. */
        readonly intervalMinutes?: number | undefined
      }
    | undefined
  /**
   * Witnesses (c2sp.org/tlog-witness) that are asked to cosign checkpoints: `url` without `/add-checkpoint`, `vkey` as the
   * witness prints it. What they cosign is sealed as `audit.anchored`. Default: none.
   */
  readonly witnesses?:
    | readonly { readonly url: string; readonly vkey: string; readonly intervalSeconds?: number | undefined }[]
    | undefined
  /**
   * Places outside of the trail that its newest checkpoint goes to every `intervalMinutes` (1440, once a day; 0: never): a
   * folder, with `git` committed to the repository that it lies in; an authority for timestamps (RFC 3161); a server that
   * keeps files (`PUT`). What was done is sealed as `audit.anchored`. Default: none.
   */
  readonly anchors?:
    | {
        readonly directory?: string | undefined
        readonly git?: boolean | undefined
        readonly tsa?: string | undefined
        readonly url?: string | undefined
        readonly intervalMinutes?: number | undefined
      }
    | undefined
  /** How long `close` waits for destinations, in milliseconds. What is left is sent at the next start. Default: 5,000. */
  readonly closeTimeoutMs?: number | undefined
  /** Take signals: SIGTERM closes the trail and then ends the process. Default: `false`, a library takes no signals. */
  readonly handleSignals?: boolean | undefined
  /** URL of the module `otel-audit/worker`, where a bundler has moved it. */
  readonly workerUrl?: string | URL | undefined
}

/** Every profile. */
export const profiles = ['strict', 'soc2', 'iso27001', 'hipaa', 'pci-dss', 'gdpr'] as const

export type Profile = (typeof profiles)[number]

export interface SpoolOptions {
  /** A directory on a local disk, one per process. Default: `./audit-spool`. */
  readonly directory?: string | undefined
  /**
   * `single`: one process writes the directory. `slots`: each process takes a numbered directory of its own below
   * it (cluster, PM2, replicas on one host), and sends on what a slot holds whose process is gone. Default: `single`.
   */
  readonly instances?: 'single' | 'slots' | undefined
  /** Bytes that all segment files together may take, at least 256 KiB. Default: 10 GiB. */
  readonly bytesMax?: number | undefined
  /**
   * What control records and `emitRequired` may take beyond `bytesMax`, and what events leave free on the disk.
   * Less than `bytesMax`. Default: 16 MiB, or an eighth of `bytesMax` where that is less.
   */
  readonly reserveBytes?: number | undefined
  /** When there is no room: `block` waits once for `blockMsMax`, `refuse` not at all. Default: `block`. */
  readonly onFull?: 'block' | 'refuse' | undefined
  /** How long one `emit` may wait for room, in milliseconds, before events go to standard error. Default: 100. */
  readonly blockMsMax?: number | undefined
  /** How long records are kept at least that every destination has confirmed. Default: 60. */
  readonly keepMinutes?: number | undefined
  /** Bytes of records in memory that are written and not yet durable. More counts as no room. Default: 64 MiB. */
  readonly unsyncedBytesMax?: number | undefined
}

/** What is recorded (docs/policy.md). */
export interface PolicySettings {
  /** `false` switches audit off: nothing is recorded, and that is said once. Default: `true`. */
  readonly enabled?: boolean | undefined
  /** Which operations are recorded. Default: `writes_only`, said once at start. */
  readonly level?: Level | undefined
  /** Actions that are not recorded; a `*` at the end stands for anything. */
  readonly excludeActions?: readonly string[] | undefined
  /** Types of targets whose events are not recorded; a `*` at the end stands for anything. */
  readonly excludeResources?: readonly string[] | undefined
  /** Share of traces kept, 0 to 1, of what is no read. Failures and denials are always kept. Default: 1. */
  readonly sampleRate?: number | undefined
  /** Share of traces kept, 0 to 1, of reads. Default: 1. */
  readonly sampleReads?: number | undefined
  /** Decides which traces are kept; the same in all services of a deployment. Needed when a rate is below 1. */
  readonly sampleSecret?: string | undefined
  /** A file that holds `sampleSecret`. */
  readonly sampleSecretFile?: string | undefined
  /** In order; the first that matches decides. */
  readonly rules?: readonly PolicyRule[] | undefined
  /** The explicit word for a policy under which nothing could be recorded. Default: `false`. */
  readonly allowSuppressAll?: boolean | undefined
}

/** What is hidden of what is recorded (docs/redaction.md). */
export interface RedactSettings extends RedactionOptions {
  /** A file that holds `pseudonymKey`. */
  readonly pseudonymKeyFile?: string | undefined
}

export interface MetricsSettings {
  /** Where they are registered until `close`; never prom-client's default registry by itself. */
  readonly registry?: MetricsRegistry | undefined
  /** Actions that are a label by their name, beside those of the catalogue; every other is `_other`. Default: none. */
  readonly actions?: readonly string[] | undefined
  /**
   * Where `/metrics`, `/healthz` and `/readyz` are answered over HTTP (docs/operations.md): `HOST:PORT`, or a port of
   * 127.0.0.1. Default: nowhere, unless `audit.serve()` is called.
   */
  readonly listen?: string | undefined
  /** What a scraper of `/metrics` must show as a bearer token. Default: none, whoever reaches the port may read. */
  readonly token?: string | undefined
  /** A file that holds `token`. */
  readonly tokenFile?: string | undefined
}

/** How long PostgreSQL destinations keep records (docs/retention.md). */
export interface RetentionSettings {
  /** Default 90. */
  readonly days?: number | undefined
  /** Default true. */
  readonly enabled?: boolean | undefined
  /** Rows of one step of the removal; default 10,000. */
  readonly batchRows?: number | undefined
  /** Default 60. */
  readonly intervalMinutes?: number | undefined
  /** A folder, or `s3://bucket/prefix`, that records are archived to before they are removed; default: none. */
  readonly archive?: string | undefined
}
