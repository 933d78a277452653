/** The state of the broker: sessions, grants, and what was carried out through them. */

import type { Pool, PoolClient } from 'pg'

export const tables = `
  create table session (
    id uuid primary key,
    tenant text not null,
    user_name text not null
  );
  create table access_grant (
    id uuid primary key,
    session uuid not null references session,
    resource text not null,
    revoked_at timestamptz
  );
  create table execution (
    id uuid primary key,
    access_grant uuid not null references access_grant,
    line text not null,
    nonce text not null,
    -- Judged at the commit: a replay is found when its row and its audit event have been inserted.
    constraint once_only unique (access_grant, nonce) deferrable initially deferred
  );`

/** A request that is turned down. What its transaction has done is undone. */
export class Refusal extends Error {}

/** Runs work in one transaction: everything of it, its audit events too, or nothing. */
export async function inTransaction<Result>(
  pool: Pool,
  work: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const result = await work(client)
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback')
    throw isReplay(error) ? new Refusal('replayed') : error
  } finally {
    client.release()
  }
}

function isReplay(error: unknown): boolean {
  return error instanceof Error && 'constraint' in error && error.constraint === 'once_only'
}

export interface Session {
  readonly id: string
  readonly tenant: string
  readonly user: string
}

export async function insertSession(client: PoolClient, { id, tenant, user }: Session): Promise<void> {
  await client.query('insert into session (id, tenant, user_name) values ($1, $2, $3)', [id, tenant, user])
}

export interface Grant {
  readonly id: string
  readonly resource: string
  readonly session: Session
}

export async function insertGrant(client: PoolClient, { id, resource, session }: Grant): Promise<void> {
  await client.query('insert into access_grant (id, session, resource) values ($1, $2, $3)', [id, session.id, resource])
}

/** A session that is there; refuses otherwise. */
export async function readSession(pool: Pool, id: string): Promise<Session> {
  const { rows } = await pool.query('select id, tenant, user_name as user from session where id = $1', [id])
  return rows[0] ?? refuse('no_session')
}

/** A grant with its session; refuses what is not there. Whether it was revoked says `holdGrant`. */
export async function readGrant(pool: Pool, id: string): Promise<Grant> {
  const { rows } = await pool.query(
    `select g.id, g.resource, s.id as session, s.tenant, s.user_name
     from access_grant g join session s on s.id = g.session where g.id = $1`,
    [id],
  )
  const [row] = rows
  if (row === undefined) return refuse('no_grant')
  return { id, resource: row.resource, session: { id: row.session, tenant: row.tenant, user: row.user_name } }
}

/** Keeps a grant from being revoked until the transaction ends; refuses one that was. */
export async function holdGrant(client: PoolClient, id: string): Promise<void> {
  const { rowCount } = await client.query('select from access_grant where id = $1 and revoked_at is null for share', [
    id,
  ])
  if (rowCount === 0) refuse('revoked')
}

export async function revokeGrant(client: PoolClient, id: string): Promise<void> {
  const { rowCount } = await client.query(
    'update access_grant set revoked_at = now() where id = $1 and revoked_at is null',
    [id],
  )
  if (rowCount === 0) refuse('revoked')
}

export async function insertExecution(
  client: PoolClient,
  execution: { id: string; grant: Grant; line: string; nonce: string },
): Promise<void> {
  const { id, grant, line, nonce } = execution
  await client.query('insert into execution (id, access_grant, line, nonce) values ($1, $2, $3, $4)', [
    id,
    grant.id,
    line,
    nonce,
  ])
}

export function refuse(reason: string): never {
  throw new Refusal(reason)
}
