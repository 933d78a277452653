/**
 * `otel-audit doctor --postgres`: what guards the trail in a database, compared with what should. Changes nothing, and
 * never prints the URL: it may hold a password.
 */

import { AuditError, errorText } from '../errors.ts'
import { withConnection } from '../postgres/client.ts'
import { inspectErasures } from '../postgres/erase.ts'
import { type Difference, inspectSchema } from '../postgres/inspect.ts'
import { migrationStatus } from '../postgres/migrate.ts'
import { inspectOutbox } from '../postgres/sealing-lag.ts'
import { inspectStandbys } from '../postgres/standbys.ts'
import type { CommandIo } from './command.ts'

/** What `doctor --postgres --json` prints. */
export interface DatabaseReport {
  /** Names of migrations that were not applied. While there are any, nothing else is looked at. */
  readonly pending: readonly string[]
  readonly differences: readonly Difference[]
  readonly exitCode: 0 | 1
}

export async function judgeDatabase(url: string, isJson: boolean, io: CommandIo): Promise<number> {
  const report = await inspect(url)
  io.stdout.write(isJson ? `${JSON.stringify(report)}\n` : format(report))
  return report.exitCode
}

async function inspect(url: string): Promise<DatabaseReport> {
  try {
    return await withConnection({ url }, async (client) => {
      const pending = (await migrationStatus(client)).pending.map(({ name }) => name)
      const differences =
        pending.length === 0
          ? [
              ...(await inspectSchema(client)),
              ...(await inspectOutbox(client)),
              ...(await inspectStandbys(client)),
              ...(await inspectErasures(client)),
            ]
          : []
      return { pending, differences, exitCode: pending.length + differences.length === 0 ? 0 : 1 }
    })
  } catch (cause) {
    if (cause instanceof AuditError) throw cause
    throw new AuditError('SOURCE_UNREADABLE', `the database cannot be judged: ${errorText(cause)}`, {
      setting: '--postgres',
      hint: 'check the URL; the user must see the schema audit, as the owner or a superuser does',
      cause,
    })
  }
}

const remedies: Readonly<Record<Difference['kind'], string>> = {
  role: 'otel-audit migrate roles makes the roles; alter role … nologin nosuperuser takes back what is too much',
  owner: 'otel-audit migrate roles hands everything to its owner',
  grant: 'otel-audit migrate roles grants what is missing; revoke takes back what others may',
  trigger: 'enable it always again, then verify: what happened meanwhile was not refused (docs/postgres.md)',
  function: 'otel-audit migrate print shows the function; find out who changed it',
  partition:
    'otel-audit migrate up makes what is missing ahead; move the records of a default partition and drop it: every one ' +
    'made later would scan it under a lock',
  outbox:
    'start otel-audit forward --postgres, or a service with outbox.url, and look at what it says; end transactions that ' +
    'stay open for hours (pg_stat_activity)',
  standby:
    'until they do, nothing of the journal is exported or signed, unless outbox.standbys says otherwise (docs/postgres.md)',
  erasure: 'otel-audit erase --postgres, for the same subject or any other, seals what an earlier run has left',
}

function format({ pending, differences }: DatabaseReport): string {
  if (pending.length > 0) return `pending migrations: ${pending.join(', ')}\n  remedy: otel-audit migrate up\n`
  if (differences.length === 0)
    return 'roles, grants, triggers, functions and partitions are as they should be, the outbox is sealed, and no standby is behind\n'
  const lines = [...Map.groupBy(differences, ({ kind }) => kind)].flatMap(([kind, own]) => [
    ...own.map(({ object, expected, found }) => `  ${kind}  ${object}: expected ${expected}; found ${found}`),
    `    remedy: ${remedies[kind]}`,
  ])
  return `${differences.length} ${differences.length === 1 ? 'difference' : 'differences'}\n${lines.join('\n')}\n`
}
