/**
 * An empty project that installed the packed package, as a user's would be.
 * Always holds: the tarball is built from a copy of the sources in a folder of its own, so that no `dist` of the
 * checkout is touched or trusted; peers have the versions of our lock file. Needs npm, and the registry for what
 * is not in npm's cache.
 */

import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly engines: { readonly node: string }
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly files: readonly string[]
}

export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest

/** The platform's own package of Node: the binary without an install script. */
const oldestNode = `node-${process.platform}-${process.arch}`

export interface Consumer {
  /** The project's folder. */
  readonly folder: string
  /** Paths in the tarball, without its `package/`. */
  readonly packed: readonly string[]
  /** The oldest Node that `engines` admits, and the one that runs this test. */
  readonly nodes: readonly string[]
  remove(): void
}

/** Packs, installs, and cleans up after itself when that fails. */
export function createConsumer(): Consumer {
  const base = mkdtempSync(join(tmpdir(), 'otel-audit-package-'))
  const remove = (): void => rmSync(base, { recursive: true, force: true })
  try {
    const tarball = pack(base)
    const folder = install(base, tarball)
    const packed = run('tar', ['-tzf', tarball], base).trim().split('\n')
    return {
      folder,
      packed: packed.map((path) => path.replace(/^package\//, '')),
      nodes: [join(folder, 'node_modules', oldestNode, 'bin/node'), process.execPath],
      remove,
    }
  } catch (error) {
    remove()
    throw error
  }
}

/** Runs a program to its end and gives its standard output; throws with all that it printed when it fails. */
export function run(command: string, argv: readonly string[], folder: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, argv, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (status === 0) return stdout
  throw new Error(`${command} ${argv.join(' ')} failed\n${stdout}${stderr}`, { cause: error })
}

/** Builds and packs a copy of what the package is made of; gives the tarball's path. */
function pack(base: string): string {
  const stage = join(base, 'stage')
  mkdirSync(stage)
  const builtFrom = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src', 'README.md', 'LICENSE']
  for (const path of new Set([...builtFrom, ...manifest.files])) {
    if (path !== 'dist' && existsSync(join(root, path)))
      cpSync(join(root, path), join(stage, path), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(stage, 'node_modules'))
  run('npm', ['pack', '--pack-destination', base], stage)
  const tarball = readdirSync(base).find((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack made no tarball')
  return join(base, tarball)
}

/** Installs the tarball, its peers and the oldest Node into an empty project; gives the project's folder. */
function install(base: string, tarball: string): string {
  const project = join(base, 'project')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  const peers = ['@opentelemetry/api', '@opentelemetry/sdk-logs', '@types/node']
  const packages = [
    tarball,
    ...peers.map((name) => `${name}@${lockedVersion(name)}`),
    `${oldestNode}@${manifest.engines.node.replace(/^>=/, '')}`,
  ]
  const options = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error']
  run('npm', ['install', ...options, ...packages], project)
  return project
}

function lockedVersion(name: string): string {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version?: string }>
  }
  const version = lock.packages[`node_modules/${name}`]?.version
  if (version === undefined) throw new Error(`${name} is not in package-lock.json`)
  return version
}
