/** A program that Go builds from its module into the cache, found there afterwards. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { requireTool, runStep } from './build.ts'
import { installOnce, partDirectory } from './cache.ts'

export interface GoProgram {
  /** Of the part and of the program. */
  readonly name: string
  readonly version: string
  /** Path of its package, without the version. */
  readonly package: string
  /** What is skipped without it. */
  readonly skipped: string
}

function directoryOf({ name, version, package: path }: GoProgram): string {
  return partDirectory(name, version, `${path}@v${version}`)
}

/** Path of the binary, or `undefined` where `npm run parts` has not built it. */
export function findGoProgram(program: GoProgram): string | undefined {
  const binary = join(directoryOf(program), program.name)
  return existsSync(binary) ? binary : undefined
}

/** Builds it unless the cache holds it, and returns its path. Throws MissingToolError without Go. */
export async function buildGoProgram(
  program: GoProgram,
  { onProgress }: { onProgress: (line: string) => void },
): Promise<string> {
  const { name, version, package: path, skipped } = program
  await installOnce(directoryOf(program), async (workshop) => {
    requireTool('go', ['version'], skipped)
    onProgress('building it (minutes)')
    const env = { ...process.env, GOBIN: workshop, CGO_ENABLED: '0' }
    await runStep('go', ['install', `${path}@v${version}`], { cwd: workshop, env, onProgress })
  })
  return join(directoryOf(program), name)
}
