/**
 * A real PostgreSQL for tests and the demo: the embedded one of `npm ci` on a free loopback port, or a fresh
 * database on the server of AUDIT_TEST_DATABASE_URL. An embedded server ends with the process that started it,
 * however that process ends, and takes its temporary folder along.
 */

import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import type { Writable } from 'node:stream'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts'

export interface PostgresServer {
  /** Of a database that we may fill: empty at first. */
  readonly url: string
  /** Ends an embedded server (removing its folder unless `dir` was given), or drops the database. */
  stop(): Promise<void>
}

export interface StartOptions {
  /** Where the data folder `postgres` is made and kept; used only if the server's user can reach it. */
  readonly dir?: string | undefined
  /** Another PostgreSQL than that of `npm ci`. */
  readonly binaries?: PostgresBinaries | undefined
  /** Settings of an embedded server, besides those that every one has. */
  readonly settings?: Readonly<Record<string, string>> | undefined
}

const startMsMax = 60_000
const external = process.env.AUDIT_TEST_DATABASE_URL

/** Starts a server, or makes a database on the external one. Rejects when it is not ready within a minute. */
export async function startPostgres(options: StartOptions = {}): Promise<PostgresServer> {
  if (!external) return startEmbeddedPostgres(options)
  const url = await createDatabase(external)
  return { url, stop: () => dropDatabase(external, url) }
}

/** An embedded server in any case: for tests that end it. */
export async function startEmbeddedPostgres(options: StartOptions = {}): Promise<EmbeddedPostgres> {
  const server = new EmbeddedPostgres(options)
  await server.initialise()
  await server.start()
  return server
}

let serverUrl: Promise<string> | undefined

/** URL of a fresh, empty database on a server shared by this process; dropped after the test. */
export async function databaseFor(t: TestContext): Promise<string> {
  serverUrl ??= external ? Promise.resolve(external) : startEmbeddedPostgres().then((server) => server.url)
  const server = await serverUrl
  const url = await createDatabase(server)
  t.after(() => dropDatabase(server, url))
  return url
}

/** Runs one statement on a connection of its own. */
export async function queryOnce(url: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text, values)).rows
  } finally {
    await client.end()
  }
}

async function createDatabase(server: string): Promise<string> {
  const name = `audit_test_${randomBytes(6).toString('hex')}`
  await queryOnce(server, `create database ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}

async function dropDatabase(server: string, database: string): Promise<void> {
  await queryOnce(server, `drop database if exists ${new URL(database).pathname.slice(1)} with (force)`)
}

/**
 * Becomes the server. A grandchild holds the read end of a pipe from us: a line says that the server was ended
 * in order; end of file says that we are gone, and then it ends the server and removes what is temporary.
 */
const launch = `
( (
  read -r _ <&3 || {
    kill -QUIT $$
    while kill -0 $$; do sleep 0.1; done
    [ -z "$TEMPORARY" ] || rm -rf "$TEMPORARY"
  }
) >/dev/null 2>&1 & )
exec "$@" 3<&-
`

/** One embedded server: its folder, port and password stay the same when it is ended and started again. */
export class EmbeddedPostgres implements PostgresServer {
  readonly #binaries: PostgresBinaries
  readonly #password: string
  readonly #folder: string
  readonly #temporary: boolean
  readonly #settings: Readonly<Record<string, string>>
  #port = 0
  #server: ChildProcess | undefined

  constructor({ dir, binaries = findPostgresBinaries(), settings = {} }: StartOptions, password?: string) {
    this.#binaries = binaries
    this.#settings = settings
    this.#password = password ?? randomBytes(12).toString('hex')
    const kept = dir === undefined ? undefined : keptFolder(dir, this.#binaries.user)
    this.#temporary = kept === undefined
    this.#folder = kept ?? mkdtempSync(path.join(os.tmpdir(), 'otel-audit-postgres-'))
    give(this.#folder, this.#binaries.user)
  }

  get url(): string {
    return `postgres://postgres:${this.#password}@127.0.0.1:${this.#port}/postgres`
  }

  /** Where the data lies. */
  get folder(): string {
    return this.#folder
  }

  /** Writes a file of the server's own. */
  write(name: string, text: string): void {
    const file = path.join(this.#folder, name)
    writeFileSync(file, text, { mode: 0o600 })
    give(file, this.#binaries.user)
  }

  async initialise(): Promise<void> {
    this.write('password', this.#password)
    const passwordFile = path.join(this.#folder, 'password')
    const flags = ['--username=postgres', '--auth=scram-sha-256', '--encoding=UTF8', '--no-locale', '--no-sync']
    const args = [...flags, `--pwfile=${passwordFile}`, `--pgdata=${path.join(this.#folder, 'data')}`]
    const options = { cwd: this.#folder, timeout: startMsMax, ...this.#binaries.user }
    await promisify(execFile)(this.#binaries.initdb, args, options)
  }

  /** Starts it on its port (a free one the first time) and waits until it answers. */
  async start(): Promise<void> {
    const fresh = this.#port === 0
    for (let attempt = 1; ; attempt += 1) {
      if (fresh) this.#port = await freePort()
      this.#spawn()
      if (await this.#ready()) return
      if (!fresh || attempt === 3) throw new Error(`PostgreSQL did not start:\n${this.#log()}`)
    }
  }

  /** Ends it as a power failure of the process would: no checkpoint, nobody told, data kept. */
  async crash(): Promise<void> {
    await this.#end('SIGQUIT')
  }

  /** SIGKILL: its backends go when they see that it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.#end('SIGINT')
    if (this.#temporary) rmSync(this.#folder, { recursive: true, force: true })
  }

  #spawn(): void {
    const own = Object.entries(this.#settings).map(([name, value]) => `${name}=${value}`)
    const all = ['unix_socket_directories=', 'listen_addresses=127.0.0.1', 'max_connections=50', ...own]
    const flags = all.flatMap((flag) => ['-c', flag])
    const server = [this.#binaries.postgres, '-D', path.join(this.#folder, 'data'), '-p', String(this.#port), ...flags]
    const log = openSync(path.join(this.#folder, 'server.log'), 'a')
    this.#server = spawn('sh', ['-c', launch, 'sh', ...server], {
      cwd: this.#folder,
      // Its own process group: Ctrl-C on a terminal is ours to handle.
      detached: true,
      env: { ...process.env, TEMPORARY: this.#temporary ? this.#folder : '' },
      stdio: ['ignore', log, log, 'pipe'],
      ...this.#binaries.user,
    })
    closeSync(log)
    // Neither keeps our process alive.
    this.#server.unref()
    watchPipe(this.#server).unref()
  }

  async #ready(): Promise<boolean> {
    const deadline = performance.now() + startMsMax
    while (performance.now() < deadline && this.#server?.exitCode === null && this.#server.signalCode === null) {
      try {
        await queryOnce(this.url, 'select 1')
        return true
      } catch {
        await delay(25)
      }
    }
    await this.#end('SIGKILL')
    return false
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    if (server.exitCode === null && server.signalCode === null) {
      server.ref()
      const exited = once(server, 'exit')
      server.kill(signal)
      await exited
    }
    watchPipe(server).end('ended\n')
  }

  #log(): string {
    return readFileSync(path.join(this.#folder, 'server.log'), 'utf8').slice(-2_000)
  }
}

function watchPipe(server: ChildProcess): Writable & { unref(): void } {
  const pipe = server.stdio[3] as (Writable & { unref(): void }) | null | undefined
  if (pipe === null || pipe === undefined) throw new Error('PostgreSQL was started without its watch pipe')
  pipe.on('error', () => {
    // The watcher is gone already: nothing is left to tell it.
  })
  return pipe
}

function give(file: string, user: PostgresBinaries['user']): void {
  if (user.uid !== undefined && user.gid !== undefined) chownSync(file, user.uid, user.gid)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

/** `dir/postgres`, unless the server's user cannot enter it. */
function keptFolder(dir: string, user: PostgresBinaries['user']): string | undefined {
  const folder = path.resolve(dir, 'postgres')
  mkdirSync(dir, { recursive: true })
  mkdirSync(folder, { mode: 0o700 })
  give(folder, user)
  if (spawnSync('sh', ['-c', 'cd "$1"', 'sh', folder], { cwd: '/', ...user }).status === 0) return folder
  rmSync(folder, { recursive: true })
  return undefined
}
