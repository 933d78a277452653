/**
 * The operations stream of the command line: a trail of its own in a directory, for only its writer seals in a stream,
 * delivered to the database that it is about. There `verify` finds what an operator or a maintainer has done.
 */

import type { AuditConfig } from '../audit/config.ts'
import { createAudit } from '../audit/create.ts'
import { errorOf } from '../audit/problem.ts'
import { readConfig } from '../audit/read-config.ts'
import { hasArrived } from '../audit/retention.ts'
import type { ControlFact } from '../event/record.ts'
import { withConnection } from '../postgres/client.ts'
import type { RecordNumber } from '../spool/cursor.ts'

/** Options of every command that seals what it does to a database. */
export const operationsOptions = {
  url: { type: 'string' },
  config: { type: 'string' },
  operations: { type: 'string', default: './audit-operations' },
  operator: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const

export const operationsHelp = `  --url URL          postgres://user:password@host:5432/database (default: AUDIT_POSTGRES_URL)
  --operations DIR   where what is done is sealed, before it goes to the database (default ./audit-operations)
  --config FILE      JSON with the options of the application: its deployment and its key (default: AUDIT_CONFIG_FILE)
  --operator NAME    who does it (default: the user's name)
  --json             print one JSON object
  -h, --help         show this`

/** An open operations stream. */
export interface OperationsTrail {
  readonly verifierKey: string
  /** The place of the fact once it is durable, `undefined` when it cannot be. */
  seal(fact: ControlFact): Promise<RecordNumber | undefined>
  close(): Promise<void>
}

/** The configuration of the application, as far as the environment and a file have it. Throws for what is wrong with it. */
export function readOperationsConfig(directory: string, file: string | undefined, env: NodeJS.ProcessEnv): AuditConfig {
  const given = { options: { spool: { directory }, destinations: [], delivery: 'thread' }, environment: env } as const
  const { problems, config } = readConfig(file === undefined ? given : { ...given, file })
  const [problem] = problems
  if (problem !== undefined || config === undefined)
    throw problem === undefined ? new Error('no config') : errorOf(problem)
  return config
}

/** Opens it for one database. Throws as `createAudit`: one process at a time. */
export function openOperations(config: AuditConfig, url: string): OperationsTrail {
  const { service, deployment, spool, isKeyDefault, signingKeyFile, closeTimeoutMs, workerUrl } = config
  const audit = createAudit({
    service,
    deployment,
    spool: { directory: spool.directory },
    policy: { level: 'all' },
    ...(isKeyDefault ? {} : { keys: { signingKeyFile } }),
    // At once: somebody waits for it.
    destinations: [{ type: 'postgres', url, flushIntervalMs: 0 }],
    retention: { enabled: false },
    closeTimeoutMs,
    workerUrl,
  })
  return { verifierKey: audit.verifierKey, seal: audit.sealOperation, close: () => audit.close() }
}

/** Seals one fact in an operations stream of its own; whether it is durable and in the database. */
export async function sealOnce(config: AuditConfig, url: string, fact: ControlFact): Promise<boolean> {
  const operations = openOperations(config, url)
  try {
    const sealed = await operations.seal(fact)
    return await withConnection({ url }, (client) => hasArrived(client, sealed, new AbortController().signal))
  } finally {
    await operations.close()
  }
}
