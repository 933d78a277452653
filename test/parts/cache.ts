/**
 * The cache of real parts: one directory a part, keyed by version and by everything else that decides its bytes,
 * outside the clone, so that a fresh clone finds what an older one built.
 * Always holds: a directory under its final name is complete. Parts are built in a directory of their own and
 * renamed; two processes that build the same part both finish, and one result stays.
 */

import { createHash } from 'node:crypto'
import { existsSync, globSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const abandonedMs = 24 * 3_600_000

/** `$OTEL_AUDIT_CACHE`, else `otel-audit` in the user's cache folder. */
export function cacheDirectory(): string {
  const { OTEL_AUDIT_CACHE, XDG_CACHE_HOME } = process.env
  return OTEL_AUDIT_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'otel-audit')
}

/** Where a part lies once it is installed. `recipe` is the text of its manifest and commands. */
export function partDirectory(name: string, version: string, recipe: string): string {
  const key = createHash('sha256').update(`${process.platform} ${process.arch}\n${recipe}`).digest('hex').slice(0, 12)
  return join(cacheDirectory(), `${name}-${version}-${key}`)
}

/** Builds a part unless it is there. `build` fills the directory it is given; if it throws, nothing is left. */
export async function installOnce(directory: string, build: (workshop: string) => Promise<void>): Promise<void> {
  if (existsSync(directory)) return
  mkdirSync(cacheDirectory(), { recursive: true })
  removeAbandoned(directory)
  const workshop = mkdtempSync(`${directory}.building-`)
  try {
    await build(workshop)
    publish(workshop, directory)
  } finally {
    rmSync(workshop, { recursive: true, force: true })
  }
}

function publish(workshop: string, directory: string): void {
  try {
    renameSync(workshop, directory)
  } catch (thrown) {
    // Another process was faster: its result has the same key, so it is as good as ours.
    if (!existsSync(directory)) throw thrown
  }
}

/** Removes what a killed build left behind, once nobody can still be at work there. */
function removeAbandoned(directory: string): void {
  for (const workshop of globSync(`${directory}.building-*`)) {
    if (Date.now() - statSync(workshop).mtimeMs > abandonedMs) rmSync(workshop, { recursive: true, force: true })
  }
}
