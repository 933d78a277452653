/**
 * A real PgBouncer in transaction mode: the system's where it is installed, else Debian's package and the libraries that
 * this system lacks, unpacked into the cache (no root is needed). Started on loopback before a database.
 */

import { execFileSync } from 'node:child_process'
import { chmodSync, closeSync, cpSync, existsSync, globSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { queryOnce } from '../support/postgres.ts'
import { findPostgresBinaries } from '../support/postgres-binaries.ts'
import { requireTool, runStep } from './build.ts'
import { installOnce, partDirectory } from './cache.ts'
import { freePort, hasEnded, killOwned, startOwned, stopOwned } from './process.ts'

const skipped = 'PgBouncer: the test of the outbox behind a pooler'
const readyMsMax = 10_000
const systemBinary = '/usr/sbin/pgbouncer'

/** Why a test that needs PgBouncer is skipped where it is absent. */
export const pgbouncerAbsent = 'there is no PgBouncer: npm run parts -- pgbouncer'

function unpackedDirectory(): string {
  return partDirectory('pgbouncer', 'debian', 'pgbouncer')
}

/** Path of pgbouncer, or `undefined` where there is none. */
export function pgbouncerBinary(): string | undefined {
  if (existsSync(systemBinary)) return systemBinary
  const unpacked = join(unpackedDirectory(), systemBinary)
  return existsSync(unpacked) ? unpacked : undefined
}

/** Unpacks Debian's packages unless it is there already. Throws MissingToolError without apt-get. */
export async function unpackPgbouncer({ onProgress }: { onProgress: (line: string) => void }): Promise<string> {
  await installOnce(unpackedDirectory(), async (workshop) => {
    requireTool('apt-get', ['--version'], skipped)
    const step = { cwd: workshop, env: process.env, onProgress }
    await runStep('apt-get', ['download', ...lackingPackages()], step)
    for (const archive of globSync(join(workshop, '*.deb'))) await runStep('dpkg', ['-x', archive, workshop], step)
  })
  const binary = pgbouncerBinary()
  if (binary === undefined) throw new Error('the package holds no pgbouncer')
  return binary
}

/** PgBouncer, and of its libraries those that are not installed; what manages clusters is not needed. */
function lackingPackages(): string[] {
  const flags = ['install', '--print-uris', '-qq', '--no-install-recommends', '-o', 'Debug::NoLocking=1', 'pgbouncer']
  const lines = execFileSync('apt-get', flags, { encoding: 'utf8' }).split('\n')
  const names = lines.map((line) => /^'[^']*' ([^_ ]+)_/.exec(line)?.[1] ?? '')
  return names.filter((name) => name === 'pgbouncer' || name.startsWith('lib'))
}

export interface Pgbouncer extends AsyncDisposable {
  /** Of the database, through the pooler. */
  readonly url: string
}

export interface PgbouncerOptions {
  /** An empty directory that every user may enter. */
  readonly dir: string
  /** Of the database behind it. */
  readonly url: string
  /** Connections to the server, which all clients share. */
  readonly poolSize: number
}

/** Starts it in transaction mode. */
export async function startPgbouncer({ dir, url, poolSize }: PgbouncerOptions): Promise<Pgbouncer> {
  const found = pgbouncerBinary()
  if (found === undefined) throw new Error(pgbouncerAbsent)
  const port = await freePort()
  const configuration = join(dir, 'pgbouncer.ini')
  writeFileSync(configuration, configurationFor(url, { port, poolSize }), { mode: 0o644 })
  const binary = reachable(found, dir)
  const log = openSync(join(dir, 'log'), 'a')
  const env = { ...process.env, LD_LIBRARY_PATH: globSync(join(dir, 'root/usr/lib/*')).join(':') }
  // It refuses to run as root.
  const child = startOwned(binary, [configuration], {
    cwd: dir,
    env,
    stdio: ['ignore', log, log],
    ...findPostgresBinaries().user,
  })
  closeSync(log)
  const pooled = new URL(url)
  pooled.port = String(port)
  const deadline = AbortSignal.timeout(readyMsMax)
  while (!(await answers(pooled.href))) {
    if (!deadline.aborted && !hasEnded(child)) await delay(20)
    else {
      await killOwned(child)
      throw new Error(`PgBouncer did not start:\n${readFileSync(join(dir, 'log'), 'utf8').slice(-2_000)}`)
    }
  }
  return { url: pooled.href, [Symbol.asyncDispose]: () => stopOwned(child) }
}

/** The cache may lie below somebody's 0700 home, and another user runs it. */
function reachable(binary: string, dir: string): string {
  chmodSync(dir, 0o755)
  if (binary === systemBinary) return binary
  cpSync(unpackedDirectory(), join(dir, 'root'), { recursive: true, verbatimSymlinks: true })
  execFileSync('chmod', ['-R', 'a+rX', join(dir, 'root')])
  return join(dir, 'root', systemBinary)
}

/** Whoever connects is let in: what is tested is what lies behind. */
function configurationFor(url: string, { port, poolSize }: { port: number; poolSize: number }): string {
  const { hostname, port: serverPort, username, password } = new URL(url)
  const quote = (text: string) => `'${decodeURIComponent(text).replaceAll("'", "''")}'`
  return `[databases]
* = host=${hostname} port=${serverPort || 5432} user=${quote(username)} password=${quote(password)}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${poolSize}
`
}

function answers(url: string): Promise<boolean> {
  return queryOnce(url, 'select 1').then(
    () => true,
    () => false,
  )
}
