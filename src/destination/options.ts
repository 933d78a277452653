/**
 * What can be said of each type of destination: plain data, because delivery runs in another thread or process. Owns
 * the types and what their members mean; which values are allowed stands in `audit/destination-schema.ts`.
 */

/** What every destination takes. */
export interface CommonOptions {
  /** Durable name, default the type; two destinations of one type must be named. */
  readonly name?: string | undefined
  /** How long records wait for company before they are sent, in milliseconds. `flush()` ignores it. */
  readonly flushIntervalMs?: number | undefined
  readonly batchRecordsMax?: number | undefined
  readonly batchBytesMax?: number | undefined
  /** Also printed on standard output while this destination fails, and still queued for it. Default: not. */
  readonly fallback?: 'stdout' | undefined
}

/** An OTLP/HTTP endpoint, in general the sidecar collector. */
export interface OtlpDestinationOptions extends CommonOptions {
  readonly type: 'otlp'
  /** Base URL (`/v1/logs` is added). Default: the `OTEL_EXPORTER_OTLP_*` variables, else `http://localhost:4318`. */
  readonly endpoint?: string | undefined
  readonly protocol?: 'http/protobuf' | 'http/json' | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly compression?: 'gzip' | 'none' | undefined
  readonly timeoutMs?: number | undefined
  /** Default: the files that `OTEL_EXPORTER_OTLP_CERTIFICATE`, `_CLIENT_CERTIFICATE` and `_CLIENT_KEY` name. */
  readonly tls?: TlsFiles | undefined
}

/** A PostgreSQL database with our schema (`otel-audit migrate up`). */
export interface PostgresDestinationOptions extends CommonOptions {
  readonly type: 'postgres'
  readonly url: string
}

/** An NDJSON file, one record a line, mode 0600, synced before it counts as delivered. One process writes it. */
export interface FileDestinationOptions extends CommonOptions {
  readonly type: 'file'
  readonly path: string
  /** The file is closed, numbered and the next one begun before it grows beyond this, in MiB. Default 100. */
  readonly maxMb?: number | undefined
  /** … or when it is this old and another record comes. Default: its age does not matter. */
  readonly maxAgeHours?: number | undefined
  /** How closed files are compressed; `true` is `gzip`. Default `true`. */
  readonly compress?: boolean | 'gzip' | 'zstd' | undefined
  /** How many closed files stay; what is deleted is sealed first. Default 0: nothing is deleted. */
  readonly maxBackups?: number | undefined
}

/** Standard output, NDJSON. It cannot confirm durability: written counts as delivered. */
export interface StdoutDestinationOptions extends Omit<CommonOptions, 'fallback'> {
  readonly type: 'stdout'
}

/** Files of a TLS client. They are read for each new connection, so that rotated ones count without a restart. */
export interface TlsFiles {
  /** PEM, the authorities to trust instead of those that Node trusts. */
  readonly caFile?: string | undefined
  /** PEM, with `keyFile`: what this client shows of itself. */
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
  /** The name that the peer's certificate must carry, where it is not the host of the address. */
  readonly serverName?: string | undefined
}

/** A body of records: what the peer expects. */
export type HttpFormat = 'json' | 'ndjson' | 'splunk-hec' | 'datadog' | 'elastic-bulk'

/** Any HTTP endpoint. 2xx counts as delivered; redirects are not followed, proxies not used. */
export interface HttpDestinationOptions extends CommonOptions {
  readonly type: 'http'
  readonly endpoint: string
  /** Default `json`: an array of records. `ndjson`: each record verbatim on a line of its own. */
  readonly format?: HttpFormat | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  /**
   * Signs each request as Standard Webhooks say: `whsec_` and base64 of 24 to 64 bytes. Several while a secret is being
   * replaced: each signs, the receiver may know any. Without one requests are not signed.
   */
  readonly secret?: string | readonly string[] | undefined
  /** The same from a file, one a line, read for each request. */
  readonly secretFile?: string | undefined
  /** Default `none`. What is signed are the bytes sent, compressed. */
  readonly compression?: 'gzip' | 'none' | undefined
  /** Of one request, default 10,000. */
  readonly timeoutMs?: number | undefined
  readonly tls?: TlsFiles | undefined
}

/** A syslog server, RFC 5424. Syslog does not acknowledge: see `confirm`. */
export interface SyslogDestinationOptions extends CommonOptions {
  readonly type: 'syslog'
  /** `udp://host:514`, `tcp://host:514`, `tls://host:6514`; `host:514` is UDP. */
  readonly address: string
  /**
   * When a batch counts as delivered, over TCP and TLS: `written`, when the operating system has the bytes, or `read`,
   * when the server has closed the connection after reading it to the end, which takes one connection a batch. Default
   * `written`.
   */
  readonly confirm?: 'written' | 'read' | undefined
  /** 0 to 23, default 13 (log audit). */
  readonly facility?: number | undefined
  /** Default: the record's service. */
  readonly appName?: string | undefined
  /** Default: the name of the machine. */
  readonly hostname?: string | undefined
  /** The private enterprise number in the name of the structured data. Default 32473, kept for documentation. */
  readonly enterpriseId?: number | undefined
  /** A longer message is refused, never cut. Default 8,192: what rsyslog takes unless it is told otherwise. */
  readonly messageBytesMax?: number | undefined
  /** Of one batch, default 10,000. */
  readonly timeoutMs?: number | undefined
  readonly tls?: TlsFiles | undefined
}

/** S3, or what speaks its language and can put conditionally (`If-None-Match: *`). Needs `@aws-sdk/client-s3`. */
export interface S3DestinationOptions extends CommonOptions {
  readonly type: 's3'
  readonly bucket: string
  /** What keys begin with, such as `audit/`. Default: nothing. */
  readonly prefix?: string | undefined
  /** Default: as the SDK finds it (`AWS_REGION`, profile). */
  readonly region?: string | undefined
  /** For servers other than Amazon's. */
  readonly endpoint?: string | undefined
  /** The bucket in the path, not in the host's name. Default `false`. */
  readonly forcePathStyle?: boolean | undefined
  /** Credentials. Default: as the SDK finds them (environment, profile, role of the machine). */
  readonly accessKeyId?: string | undefined
  readonly secretAccessKey?: string | undefined
  readonly sessionToken?: string | undefined
  /** Default `gzip`. */
  readonly compression?: 'gzip' | 'zstd' | 'none' | undefined
  /** Of the objects, such as `STANDARD_IA`. Default: the bucket's. */
  readonly storageClass?: string | undefined
  /** Default: the bucket's. */
  readonly serverSideEncryption?:
    | {
        readonly algorithm: 'AES256' | 'aws:kms'
        /** With `aws:kms`. */
        readonly kmsKeyId?: string | undefined
      }
    | undefined
  /** Keeps each object from being changed or deleted for so long; the bucket must allow it. Default: the bucket's. */
  readonly objectLock?: { readonly mode: 'GOVERNANCE' | 'COMPLIANCE'; readonly days: number } | undefined
  /** Of one request, default 30,000. */
  readonly timeoutMs?: number | undefined
}

/** A `LogRecordExporter` of OpenTelemetry, by the module that makes it. */
export interface ExporterDestinationOptions extends CommonOptions {
  readonly type: 'exporter'
  /** An installed package, or a file by its path from the working directory. */
  readonly module: string
  /** Which of its exports, a class or a function that returns an exporter. Default: `default`, else `createExporter`. */
  readonly export?: string | undefined
  /** What it is made with: plain data. */
  readonly options?: Readonly<Record<string, unknown>> | undefined
  /** Of one export, default 30,000. */
  readonly timeoutMs?: number | undefined
}

/** ClickHouse, by its HTTP interface. Needs `@clickhouse/client`. */
export interface ClickhouseDestinationOptions extends CommonOptions {
  readonly type: 'clickhouse'
  /** `http(s)://user:password@host:8123/database`. */
  readonly url: string
  /** With its database, where that is not the URL's: `audit.record`. Default `audit_record`. */
  readonly table?: string | undefined
  /** Makes the table when it is missing. Default `true`. */
  readonly createTable?: boolean | undefined
  /** Settings of each insert, such as `insert_quorum`. An insert that nobody waits for is refused. */
  readonly settings?: Readonly<Record<string, string | number>> | undefined
  /** Of one insert, default 30,000. */
  readonly timeoutMs?: number | undefined
}
