/** A checker of transparency logs that has nothing in common with us: `fsck` of Tessera, built by Go into the cache. */

import { spawnSync } from 'node:child_process'
import { buildGoProgram, findGoProgram, type GoProgram } from './go-program.ts'

const fsck: GoProgram = {
  name: 'fsck',
  version: '1.0.4',
  package: 'github.com/transparency-dev/tessera/cmd/fsck',
  skipped: 'the checker of transparency logs: a test of archives',
}
/** It hangs on a damaged log. */
const checkMsMax = 20_000

/** Why a test that needs it is skipped where it is absent. */
export const fsckAbsent = 'the checker of transparency logs is not built: npm run parts -- fsck'

/** Path of the binary, or `undefined` where `npm run parts` has not built it. */
export const fsckBinary = () => findGoProgram(fsck)

export const buildFsck = (options: { onProgress: (line: string) => void }) => buildGoProgram(fsck, options)

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
