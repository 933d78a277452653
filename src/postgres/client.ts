/**
 * Connections to PostgreSQL. Every connection has a bound on connecting and on each query, never ends the process
 * by an unheard error event, and can be dropped at once, also when the network swallows everything.
 * No startup parameter but the application name is sent: PgBouncer refuses the others, `statement_timeout` too.
 */

import { Socket } from 'node:net'
import { Client } from 'pg'
import { AuditError } from '../errors.ts'
import { CopyIn } from './copy-in.ts'
import { CopyOut } from './copy-out.ts'

/** What a statement needs of a client; `pg` clients have it. */
export interface Queryable {
  query<Row extends object>(text: string, values?: unknown[]): Promise<{ readonly rows: Row[] }>
}

export interface ConnectOptions {
  readonly url: string
  /** Longest wait for a connection, in milliseconds. */
  readonly connectMsMax?: number | undefined
  /** Longest wait for an answer, in milliseconds: the only rescue from a connection that swallows everything. */
  readonly queryMsMax?: number | undefined
}

/** One connection that may not be open yet. */
export interface Connection extends Queryable {
  /** Resolves when the server is ready for queries; rejects with the driver's error. */
  open(): Promise<void>
  /** Ends in order, after the query under way. */
  end(): Promise<void>
  /** Drops the socket; `open` and queries under way reject. The server rolls back what it has not committed. */
  destroy(): void
}

/** A connection that can also take a whole input, and give a whole output, at once. */
export interface CopyingConnection extends Connection {
  /** Runs a `copy … to stdout`; resolves to all that it gives. Rejects with the driver's error. */
  copyOut(text: string): Promise<Buffer>
  /** Runs a `copy … from stdin` with this input; `onSent` is called when it is on its way. Rejects with the driver's error. */
  copyIn(text: string, input: Buffer, onSent?: () => void): Promise<void>
}

/** Prepares a connection without opening it. Throws `INVALID_OPTION` for what is not a PostgreSQL URL. */
export function createConnection(options: ConnectOptions): CopyingConnection {
  const socket = new Socket()
  const client = createClient(options, socket)
  // Every loss of the connection also rejects the query under way or the next one: the event adds nothing.
  client.on('error', () => {})
  const inTurn = oneByOne()
  return {
    query: (text, values) => inTurn(() => client.query(text, values)),
    copyIn: (text, input, onSent) => inTurn(() => client.query(new CopyIn(text, input, onSent)).done),
    copyOut: (text) => inTurn(() => client.query(new CopyOut(text)).done),
    open: async () => {
      await client.connect()
    },
    end: () => inTurn(() => client.end()),
    destroy: () => {
      socket.destroy()
    },
  }
}

/** Runs one after the other, in the order in which they were asked for: the driver will not queue statements for ever. */
function oneByOne(): <Result>(run: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve()
  return (run) => {
    const next = last.then(run, run)
    last = next
    return next
  }
}

/** Opens a connection for the time of `use`. */
export async function withConnection<Result>(
  options: ConnectOptions,
  use: (connection: CopyingConnection) => Promise<Result>,
): Promise<Result> {
  const connection = createConnection(options)
  try {
    await connection.open()
    const result = await use(connection)
    await connection.end()
    return result
  } finally {
    connection.destroy()
  }
}

function createClient({ url, connectMsMax = 10_000, queryMsMax = 30_000 }: ConnectOptions, socket: Socket): Client {
  const invalid = (cause?: unknown) =>
    new AuditError('INVALID_OPTION', 'the database URL is not a PostgreSQL URL', {
      setting: 'url',
      hint: 'use the form postgres://user:password@host:5432/database',
      cause,
    })
  if (!/^postgres(ql)?:\/\//i.test(url)) throw invalid()
  try {
    return new Client({
      connectionString: url,
      stream: () => socket,
      connectionTimeoutMillis: connectMsMax,
      query_timeout: queryMsMax,
      keepAlive: true,
      fallback_application_name: 'otel-audit',
    })
  } catch (cause) {
    throw invalid(cause)
  }
}
