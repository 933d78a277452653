/**
 * Compares what guards the trail in a database with what should: owners, grants, triggers, functions. Names every
 * difference; changes nothing. Functions are compared by their text with that of the migrations that were applied.
 */

import type { Queryable } from './client.ts'
import { type Migration, readMigrations } from './migrate.ts'
import { ownerRole, type Role, roles } from './roles.ts'

export interface Difference {
  readonly kind: 'role' | 'owner' | 'grant' | 'trigger' | 'function' | 'partition' | 'outbox' | 'standby' | 'erasure'
  /** What it is about: `audit.record`, `audit_app`. */
  readonly object: string
  readonly expected: string
  readonly found: string
}

/** Every difference, in the order of their kinds. The migrations must have been applied. */
export async function inspectSchema(client: Queryable, migrations = readMigrations()): Promise<Difference[]> {
  const present = await readRoles(client)
  const missing = [ownerRole, ...roles.map(({ name }) => name)].filter((name) => !present.has(name))
  const known = missing.length === 0
  return [
    ...missing.map(
      (name): Difference => ({ kind: 'role', object: name, expected: 'a role without login', found: 'none' }),
    ),
    ...strongRoles(present),
    ...(known ? await strangersAmongOwners(client) : []),
    ...(known ? await strayGrants(client) : []),
    ...(await brokenTriggers(client)),
    ...(await changedFunctions(client, migrations)),
    ...(await defaultPartition(client)),
    ...(await missingPartitions(client)),
  ]
}

interface RoleRow {
  readonly name: string
  readonly login: boolean
  readonly superuser: boolean
}

async function readRoles(client: Queryable): Promise<Map<string, RoleRow>> {
  const { rows } = await client.query<RoleRow>(
    `select rolname as name, rolcanlogin as login, rolsuper as superuser from pg_roles where rolname = any($1)`,
    [[ownerRole, ...roles.map(({ name }) => name)]],
  )
  return new Map(rows.map((row) => [row.name, row]))
}

function strongRoles(present: ReadonlyMap<string, RoleRow>): Difference[] {
  return [...present.values()].flatMap(({ name, login, superuser }): Difference[] => {
    const found = [...(login ? ['may log in'] : []), ...(superuser ? ['is a superuser'] : [])].join(', ')
    return found === '' ? [] : [{ kind: 'role', object: name, expected: 'a role without login', found }]
  })
}

async function strangersAmongOwners(client: Queryable): Promise<Difference[]> {
  const { rows } = await client.query<{ object: string; owner: string }>(
    `select 'schema audit' as object, pg_get_userbyid(nspowner) as owner from pg_namespace where nspname = 'audit'
     union all
     select oid::regclass::text, pg_get_userbyid(relowner) from pg_class
     where relnamespace = 'audit'::regnamespace and relkind in ('r', 'p', 'v')
     union all
     select oid::regprocedure::text, pg_get_userbyid(proowner) from pg_proc where pronamespace = 'audit'::regnamespace`,
  )
  const strange = rows.filter(({ owner }) => owner !== ownerRole)
  return strange.map(({ object, owner }) => ({ kind: 'owner', object, expected: ownerRole, found: owner }))
}

/** What each grantee may do, by object; default privileges count as what they stand for. */
async function readGrants(client: Queryable): Promise<readonly GrantRow[]> {
  const { rows } = await client.query<GrantRow>(
    `with object as (
       select 'schema audit' as object, 'audit' as name, 's' as kind, nspowner as owner,
         coalesce(nspacl, acldefault('n', nspowner)) as acl
       from pg_namespace where nspname = 'audit'
       union all
       select oid::regclass::text, relname, 'r', relowner, coalesce(relacl, acldefault('r', relowner)) from pg_class
       where relnamespace = 'audit'::regnamespace and relkind in ('r', 'p', 'v')
       union all
       select oid::regprocedure::text, proname, 'f', proowner, coalesce(proacl, acldefault('f', proowner)) from pg_proc
       where pronamespace = 'audit'::regnamespace
     )
     select o.object, o.name, o.kind, coalesce(r.rolname, 'public') as grantee,
       array_agg(lower(g.privilege_type) order by g.privilege_type) filter (where g.privilege_type is not null)::text[]
         as privileges
     from object o
     left join lateral aclexplode(o.acl) g on g.grantee <> o.owner
     left join pg_roles r on r.oid = g.grantee
     group by 1, 2, 3, 4 order by 1, 4`,
  )
  return rows
}

interface GrantRow {
  readonly object: string
  readonly name: string
  readonly kind: 's' | 'r' | 'f'
  readonly grantee: string
  readonly privileges: readonly string[] | null
}

async function strayGrants(client: Queryable): Promise<Difference[]> {
  const rows = await readGrants(client)
  const differences: Difference[] = []
  for (const [object, own] of Map.groupBy(rows, (row) => row.object)) {
    const { name = '', kind = 'r' } = own[0] ?? {}
    const others = own.map(({ grantee }) => grantee).filter((grantee) => !roles.some((role) => role.name === grantee))
    for (const grantee of new Set([...roles.map((role) => role.name), ...others])) {
      const role = roles.find((one) => one.name === grantee)
      const expected = role === undefined ? [] : expectedOn(role, kind, name)
      const found = own.find((row) => row.grantee === grantee)?.privileges ?? []
      if (expected.join() === found.join()) continue
      const describe = (privileges: readonly string[]) => `${grantee} may ${privileges.join(', ') || 'nothing'}`
      differences.push({ kind: 'grant', object, expected: describe(expected), found: describe(found) })
    }
  }
  return differences
}

function expectedOn(role: Role, kind: GrantRow['kind'], name: string): readonly string[] {
  if (role.isOwner === true) return []
  if (kind === 's') return ['usage']
  if (kind === 'r') return role.relations[name] ?? []
  return role.functions.includes(name) ? ['execute'] : []
}

const guards = [
  { table: 'audit.record', names: ['refuse_delete', 'refuse_truncate', 'refuse_update'] },
  { table: 'audit.stream_head', names: ['refuse_delete', 'refuse_truncate'] },
  { table: 'audit.disclosure', names: ['refuse_delete', 'refuse_truncate', 'refuse_update'] },
  { table: 'audit.erasure', names: ['refuse_delete', 'refuse_truncate'] },
]

async function brokenTriggers(client: Queryable): Promise<Difference[]> {
  const { rows } = await client.query<{ object: string; name: string; enabled: string }>(
    `select t.tgrelid::regclass::text as object, t.tgname as name, t.tgenabled::text as enabled
     from pg_trigger t join pg_class c on c.oid = t.tgrelid
     where c.relnamespace = 'audit'::regnamespace and t.tgfoid = any(array(
       select oid from pg_proc where pronamespace = 'audit'::regnamespace and proname like 'refuse%'))`,
  )
  const leaves = await client.query<{ object: string }>(
    `select relid::regclass::text as object from pg_partition_tree('audit.record') where level > 0`,
  )
  const record = guards[0]?.names ?? []
  const tables = [...guards, ...leaves.rows.map(({ object }) => ({ table: object, names: record }))]
  return tables.flatMap(({ table, names }) =>
    names.flatMap((name): Difference[] => {
      const enabled = rows.find((row) => row.object === table && row.name === name)?.enabled
      if (enabled === 'A') return []
      const found = enabled === undefined ? 'missing' : enabled === 'D' ? 'disabled' : `enabled as ${enabled}`
      return [{ kind: 'trigger', object: `${table}.${name}`, expected: 'enabled always', found }]
    }),
  )
}

/** The last text of each function in the migrations, by name. */
function functionTexts(migrations: readonly Migration[]): Map<string, string> {
  const definition = /create (?:or replace )?(?:function|procedure) audit\.(\w+)\([^$]*?\bas \$\$([\s\S]*?)\$\$/g
  return new Map(
    migrations.flatMap(({ sql }) =>
      [...sql.matchAll(definition)].map(([, name = '', text = '']) => [name, text] as const),
    ),
  )
}

async function changedFunctions(client: Queryable, migrations: readonly Migration[]): Promise<Difference[]> {
  const { rows } = await client.query<{ object: string; name: string; text: string }>(
    `select oid::regprocedure::text as object, proname as name, prosrc as text from pg_proc
     where pronamespace = 'audit'::regnamespace order by 1`,
  )
  const ours = functionTexts(migrations)
  const strange = rows.flatMap(({ object, name, text }): Difference[] => {
    if (ours.get(name) === text) return []
    const expected = ours.has(name) ? 'as the migrations define it' : 'no such function'
    return [{ kind: 'function', object, expected, found: ours.has(name) ? 'another text' : 'a function' }]
  })
  const lost = [...ours.keys()].filter((name) => !rows.some((row) => row.name === name))
  return [
    ...strange,
    ...lost.map(
      (name): Difference => ({ kind: 'function', object: `audit.${name}`, expected: 'a function', found: 'none' }),
    ),
  ]
}

async function defaultPartition(client: Queryable): Promise<Difference[]> {
  const { rows } = await client.query<{ holds_default: boolean }>(
    `select exists (
       select from pg_partitioned_table where partrelid = 'audit.record'::regclass and partdefid <> 0
     ) as holds_default`,
  )
  if (rows[0]?.holds_default !== true) return []
  return [{ kind: 'partition', object: 'audit.record', expected: 'no default partition', found: 'one' }]
}

/** The writer makes what is missing, as a last resort: it then waits for the locks of making a table. */
async function missingPartitions(client: Queryable): Promise<Difference[]> {
  const { rows } = await client.query<{ at: string }>(
    `select to_char(t.at at time zone 'UTC', 'YYYY-MM-DD') as at
     from audit.partitioning p,
       lateral (values (now()), (now() + case p.mode
         when 'daily' then interval '1 day' when 'weekly' then interval '7 days' else interval '1 month' end)) as t (at)
     where not exists (
       select from audit.list_partitions() l where l.low <= t.at and t.at < l.high and not l.is_leaving)
     order by t.at`,
  )
  return rows.map(({ at }) => {
    return { kind: 'partition', object: 'audit.record', expected: `a partition for ${at}`, found: 'none' }
  })
}
