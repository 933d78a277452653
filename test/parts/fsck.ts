/** A checker of transparency logs that has nothing in common with us: `fsck` of Tessera, built by Go into the cache. */

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MissingToolError, runStep } from './build.ts'
import { installOnce, partDirectory } from './cache.ts'

const version = '1.0.4'
const source = `github.com/transparency-dev/tessera/cmd/fsck@v${version}`
/** It hangs on a damaged log. */
const checkMsMax = 20_000

/** Why a test that needs it is skipped where it is absent. */
export const fsckAbsent = 'the checker of transparency logs is not built: npm run parts -- fsck'

function fsckDirectory(): string {
  return partDirectory('fsck', version, source)
}

/** Path of the binary, or `undefined` where `npm run parts` has not built it. */
export function fsckBinary(): string | undefined {
  const binary = join(fsckDirectory(), 'fsck')
  return existsSync(binary) ? binary : undefined
}

/** Builds it unless the cache holds it, and returns its path. Throws MissingToolError without Go. */
export async function buildFsck(options: { onProgress?: (line: string) => void } = {}): Promise<string> {
  const onProgress = options.onProgress ?? (() => {})
  await installOnce(fsckDirectory(), async (workshop) => {
    try {
      execFileSync('go', ['version'], { stdio: 'ignore' })
    } catch (thrown) {
      throw new MissingToolError('go', 'the checker of transparency logs: a test of archives', { cause: thrown })
    }
    onProgress('building it')
    await runStep('go', ['install', source], { cwd: workshop, env: { ...process.env, GOBIN: workshop }, onProgress })
  })
  return join(fsckDirectory(), 'fsck')
}

/** Whether it accepts the log in a folder; a log that it hangs on is not accepted. */
export function checkLog(folder: string, options: { origin: string; keyFile: string; msMax?: number }): boolean {
  const { origin, keyFile, msMax = checkMsMax } = options
  const binary = fsckBinary()
  if (binary === undefined) throw new Error(fsckAbsent)
  const args = [
    '--ui=false',
    '--logtostderr',
    '--public_key',
    keyFile,
    '--origin',
    origin,
    '--storage_url',
    `file://${folder}/`,
  ]
  return spawnSync(binary, args, { timeout: msMax, killSignal: 'SIGKILL' }).status === 0
}
