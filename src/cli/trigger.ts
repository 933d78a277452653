/**
 * `otel-audit trigger`: prints the SQL that makes the changes of a table's rows audit events. Prints and changes nothing;
 * with a database it looks up the key, and says which name is mistaken. Never prints the URL: it may hold a password.
 */

import { nearest } from '../audit/nearest.ts'
import { AuditError, errorText } from '../errors.ts'
import { withConnection } from '../postgres/client.ts'
import {
  dropTriggerScript,
  formatTableName,
  parseTableName,
  readTableShape,
  rowTriggerScript,
  type TableName,
  type TableShape,
} from '../postgres/row-trigger.ts'
import { type Command, parseOptions, requireOption } from './command.ts'

/** What `trigger --json` prints. */
export interface TriggerScript {
  /** As SQL reads it. */
  readonly table: string
  /** Columns whose values are the id of the target. */
  readonly key: readonly string[]
  readonly exclude: readonly string[]
  readonly mask: readonly string[]
  readonly sql: string
}

const columns = { type: 'string', multiple: true, default: [] as string[] } as const

export const command: Command = {
  name: 'trigger',
  summary: 'print SQL that records the changes of a table as audit events',
  help: `Usage: otel-audit trigger TABLE [--url URL] [--key COLUMN]... [--exclude COLUMN]... [--mask COLUMN]... [--json]
       otel-audit trigger TABLE --drop

Prints SQL for psql: triggers by which each row that is inserted, updated or deleted in TABLE becomes an audit event in
the same transaction, with its operation, the id of the row, and each column before and after. Rolled back, there was no
event. A truncate is one event. Run again with another choice, the SQL replaces the triggers.

What the transaction says of itself fills in who did it (docs/postgres.md):
  select set_config('audit.context', '{"actor": {"type": "user", "id": "u-1"}, "tenant": "acme"}', true);

TABLE is written as in SQL: invoice, sales.invoice, 'sales."Order Lines"'; without a schema it is in public. Whoever changes
rows needs usage on the schema audit and execute on audit.emit, as members of audit_app have; nobody else can.

Options:
  --url URL         look into this database: is there such a table, which is its primary key, are these its columns
  --key COLUMN      a column whose value is the id of the target; repeat it for several (default: with --url the primary
                    key, else id)
  --exclude COLUMN  do not record this column; an update of nothing else is no event. May be repeated
  --mask COLUMN     record that this column changed, and no value. May be repeated
  --action PREFIX   what actions begin with (default: row, for row.insert, row.update, row.delete, row.truncate)
  --drop            print the SQL that takes the triggers away again
  --json            print one JSON object (type TriggerScript)
  -h, --help        show this

Examples:
  otel-audit trigger invoice --url postgres://owner@localhost/app | psql postgres://owner@localhost/app
  otel-audit trigger sales.customer --key id --exclude last_seen_at --mask password_hash
  otel-audit trigger sales.customer --drop
`,
  async run(argv, io) {
    const { values, positionals } = parseOptions({
      args: [...argv],
      options: {
        url: { type: 'string' },
        key: columns,
        exclude: columns,
        mask: columns,
        action: { type: 'string', default: 'row' },
        drop: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
      allowPositionals: true,
    })
    const name = readName(positionals)
    const shape = values.url === undefined ? undefined : await lookUp(values.url, name)
    const { exclude, mask } = values
    for (const [option, given] of Object.entries({ '--key': values.key, '--exclude': exclude, '--mask': mask }))
      checkColumns(option, given, shape)
    const key = values.key.length > 0 ? values.key : (shape?.key ?? ['id'])
    const action = checkAction(values.action)
    const sql = values.drop ? dropTriggerScript(name) : rowTriggerScript({ ...name, key, exclude, mask, action })
    const script: TriggerScript = { table: formatTableName(name), key, exclude, mask, sql }
    io.stdout.write(values.json ? `${JSON.stringify(script)}\n` : sql)
    return 0
  },
}

function readName(positionals: readonly string[]): TableName {
  const [text, extra] = positionals
  const setting = 'TABLE'
  const hint = 'write it as in SQL: invoice, sales.invoice, \'sales."Order Lines"\''
  if (extra !== undefined) throw new AuditError('INVALID_OPTION', `unexpected argument ${extra}`, { setting, hint })
  const given = requireOption(text, setting)
  const name = parseTableName(given)
  if (name?.schema === 'audit')
    throw new AuditError('INVALID_OPTION', `TABLE ${given} is the trail's own: its events would be events again`, {
      setting,
      hint: 'name a table of the application',
    })
  if (name !== undefined) return name
  throw new AuditError('INVALID_OPTION', `TABLE ${given} is no name of a table`, { setting, hint })
}

async function lookUp(url: string, name: TableName): Promise<TableShape> {
  const shape = await withConnection({ url }, (client) => readTableShape(client, name)).catch((cause: unknown) => {
    if (cause instanceof AuditError) throw cause
    throw new AuditError('SOURCE_UNREADABLE', `the database cannot be used: ${errorText(cause)}`, {
      setting: '--url',
      hint: 'check that the server runs, and host, port, database, user and password; or leave --url out',
      cause,
    })
  })
  if (shape !== undefined) return shape
  throw new AuditError('INVALID_OPTION', `there is no table ${formatTableName(name)}`, {
    setting: 'TABLE',
    hint: 'name a table with its schema, as in SQL; a view has no rows of its own',
  })
}

function checkColumns(setting: string, given: readonly string[], shape: TableShape | undefined): void {
  const unknown = given.find((name) => name === '' || (shape !== undefined && !shape.columns.includes(name)))
  if (unknown === undefined) return
  const meant = nearest(unknown, shape?.columns ?? [])
  const hint =
    meant === undefined ? `its columns are: ${shape?.columns.join(', ')}` : `did you mean: ${setting} ${meant}`
  throw new AuditError('INVALID_OPTION', `${setting} ${unknown}: the table has no such column`, { setting, hint })
}

function checkAction(action: string): string {
  if (/^[\w.:/-]{1,100}$/.test(action) && !action.startsWith('audit.') && action !== 'audit') return action
  throw new AuditError('INVALID_OPTION', `--action ${action}: no beginning for the name of an action`, {
    setting: '--action',
    hint: 'letters, digits and _ . : / -, at most 100 of them; names that begin with audit. are ours',
  })
}
