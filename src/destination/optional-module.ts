/**
 * Modules that only some destinations need: peers that are not installed with this package, and a user's own exporter.
 * What is missing is said in one line with what to do about it, at start-up where that can be known.
 */

import { existsSync } from 'node:fs'
import { createRequire, findPackageJSON } from 'node:module'
import { isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { AuditError, errorCode } from '../errors.ts'
import type { DestinationOptions } from './destination.ts'

/** The peer that a type of destination needs. */
const peers: Readonly<Record<string, string>> = { s3: '@aws-sdk/client-s3', clickhouse: '@clickhouse/client' }

/** Throws AuditError MODULE_NOT_FOUND when what the destination needs is not installed. Loads nothing. */
export function checkModule(options: DestinationOptions): void {
  const peer = peers[options.type]
  if (peer !== undefined && !isInstalled(peer, import.meta.url)) throw missingPeer(options.type, peer)
  if (options.type === 'exporter' && !isFound(options.module)) throw missingModule(options.module)
}

/** Loads a peer of ours. */
export async function loadPeer<Module>(type: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load()
  } catch (cause) {
    throw errorCode(cause) === 'ERR_MODULE_NOT_FOUND' ? missingPeer(type, peers[type] ?? type, cause) : cause
  }
}

/** Loads a user's module: a path from the working directory, or a package that the working directory finds. */
export async function loadModule(name: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(locate(name))) as Readonly<Record<string, unknown>>
  } catch (cause) {
    throw errorCode(cause) === 'ERR_MODULE_NOT_FOUND' ? missingModule(name, cause) : cause
  }
}

function locate(name: string): string {
  if (name.startsWith('file:')) return name
  if (isPath(name)) return pathToFileURL(resolve(name)).href
  try {
    return pathToFileURL(createRequire(join(resolve('.'), 'noop.js')).resolve(name)).href
  } catch {
    return name // a package that only `import` may load, or none: importing it tells
  }
}

function isPath(name: string): boolean {
  return name.startsWith('.') || isAbsolute(name)
}

function isFound(name: string): boolean {
  if (name.startsWith('file:')) return existsSync(new URL(name))
  if (isPath(name)) return existsSync(resolve(name))
  return [pathToFileURL(join(resolve('.'), 'noop.js')).href, import.meta.url].some((base) => isInstalled(name, base))
}

function isInstalled(name: string, base: string): boolean {
  try {
    return findPackageJSON(name, base) !== undefined
  } catch {
    return false // how Node says that there is none
  }
}

function missingPeer(type: string, peer: string, cause?: unknown): AuditError {
  return new AuditError(
    'MODULE_NOT_FOUND',
    `the destination ${type} needs the package ${peer}, which is not installed`,
    {
      setting: `destinations.${type}`,
      hint: `Install it: npm install ${peer}`,
      cause,
    },
  )
}

function missingModule(name: string, cause?: unknown): AuditError {
  return new AuditError('MODULE_NOT_FOUND', `there is no module ${name}`, {
    setting: 'destinations.exporter.module',
    hint: 'Name an installed package, or a file by its path from the working directory: ./exporter.js',
    cause,
  })
}
