/**
 * The roles of the schema and what each may do, said once: `makeRoles` grants it, `inspect.ts` compares it with what a
 * database has. They are groups without login, for a DBA to grant to users; roles belong to the whole server. What is
 * not said here is allowed to nobody but the owner.
 */

import type { Queryable } from './client.ts'

/** Owns everything and cannot log in. */
export const ownerRole = 'audit_owner'

export interface Role {
  readonly name: string
  readonly purpose: string
  /** Privileges by table or view, in lower case. */
  readonly relations: Readonly<Record<string, readonly string[]>>
  /** Functions and procedures that it may execute, by name. */
  readonly functions: readonly string[]
  /** Has the owner's rights. */
  readonly isOwner?: true
}

const [select, selectInsert, selectInsertUpdate] = [['select'], ['insert', 'select'], ['insert', 'select', 'update']]

export const roles: readonly Role[] = [
  {
    name: 'audit_app',
    purpose: 'emits in its transactions, and reads nothing',
    relations: { outbox: ['insert'] },
    functions: ['emit', 'enlist', 'record_change'],
  },
  {
    name: 'audit_relay',
    purpose: 'delivers and seals: the postgres destination, the sequencer, forward',
    relations: {
      record: selectInsert,
      stream_head: selectInsertUpdate,
      // To lock a row is an update for PostgreSQL.
      outbox: ['delete', 'select', 'update'],
      journal: selectInsertUpdate,
      journal_stream: selectInsert,
      sink_cursor: ['delete', 'insert', 'select', 'update'],
      quarantine: ['delete', 'insert', 'select', 'update'],
      partition: select,
      migration: select,
    },
    functions: ['advance_heads', 'append', 'disclose', 'emit', 'ensure_partition', 'exported_to', 'is_pruned'],
  },
  {
    name: 'audit_maintainer',
    purpose: 'retention, holds and indexes: detaching and dropping a partition is for its owner alone',
    relations: {},
    functions: [],
    isOwner: true,
  },
  {
    name: 'audit_reader',
    purpose: 'queries and verifies',
    relations: {
      record: select,
      event: select,
      stream_head: select,
      journal: select,
      journal_stream: select,
      sink_cursor: select,
      quarantine: select,
      partition: select,
      legal_hold: select,
      migration: select,
      disclosure_digest: select,
      erasure: select,
    },
    functions: ['exported_to', 'is_pruned', 'note_query', 'record_json'],
  },
  {
    name: 'audit_discloser',
    purpose: 'sees the personal values that records commit to; granted beside audit_reader',
    relations: { disclosure: select, disclosed: select },
    functions: ['read_disclosure'],
  },
]

/** A name in the schema, quoted. */
interface Named {
  readonly name: string
  readonly sql: string
}

/** Makes the roles, hands everything to the owner, and grants. Safe to repeat; all or nothing; nobody keeps more. */
export async function makeRoles(client: Queryable): Promise<void> {
  await client.query("begin; set local lock_timeout = '10s'; set local search_path = pg_catalog")
  try {
    // In order: each builds on the ones before.
    for (const name of [ownerRole, ...roles.map((role) => role.name)]) await client.query(creation(name))
    const relations = await readRelations(client)
    const functions = await readFunctions(client)
    await client.query(ownership(relations, functions).join(';'))
    await client.query([...revocations(), ...roles.flatMap((role) => grants(role, relations, functions))].join(';'))
    await client.query('commit')
  } catch (thrown) {
    await client.query('rollback').catch(() => undefined) // the thrown error is the one to hear of
    throw thrown
  }
}

/** Two databases of one server may be set up at once. */
function creation(role: string): string {
  return `do $$ begin
      create role ${role} nologin;
    exception when duplicate_object or unique_violation then null;
    end $$`
}

function ownership(relations: readonly OwnedName[], functions: readonly OwnedName[]): string[] {
  const others = (names: readonly OwnedName[]) => names.filter(({ owner }) => owner !== ownerRole)
  return [
    `alter schema audit owner to ${ownerRole}`,
    ...others(relations).map(({ sql }) => `alter table ${sql} owner to ${ownerRole}`),
    ...others(functions).map(({ sql }) => `alter routine ${sql} owner to ${ownerRole}`),
  ]
}

function revocations(): string[] {
  const everybody = ['public', ...roles.map(({ name }) => name)].join(', ')
  return [
    `revoke all on schema audit from ${everybody}`,
    `revoke all on all tables in schema audit from ${everybody}`,
    `revoke all on all routines in schema audit from ${everybody}`,
  ]
}

function grants(role: Role, relations: readonly Named[], functions: readonly Named[]): string[] {
  if (role.isOwner === true) return [`grant ${ownerRole} to ${role.name}`]
  return [
    `grant usage on schema audit to ${role.name}`,
    ...relations.flatMap(({ name, sql }) => {
      const privileges = role.relations[name]
      return privileges === undefined ? [] : [`grant ${privileges.join(', ')} on ${sql} to ${role.name}`]
    }),
    ...functions
      .filter(({ name }) => role.functions.includes(name))
      .map(({ sql }) => `grant execute on routine ${sql} to ${role.name}`),
  ]
}

interface OwnedName extends Named {
  readonly owner: string
}

/** Tables with their partitions, and views. */
async function readRelations(client: Queryable): Promise<OwnedName[]> {
  const { rows } = await client.query<OwnedName>(
    `select c.relname as name, c.oid::regclass::text as sql, pg_get_userbyid(c.relowner) as owner from pg_class c
     where c.relnamespace = 'audit'::regnamespace and c.relkind in ('r', 'p', 'v') order by 1`,
  )
  return rows
}

async function readFunctions(client: Queryable): Promise<OwnedName[]> {
  const { rows } = await client.query<OwnedName>(
    `select p.proname as name, p.oid::regprocedure::text as sql, pg_get_userbyid(p.proowner) as owner from pg_proc p
     where p.pronamespace = 'audit'::regnamespace order by 1, 2`,
  )
  return rows
}
