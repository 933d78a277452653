/** What a benchmark is, and what it needs to run. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BenchReport } from './report.ts'

export interface BenchOptions {
  /** How long the rounds may take, in seconds. */
  readonly seconds: number
  /** One tiny round that shows that everything works; its figures mean nothing. */
  readonly smoke: boolean
  /** Uses the real collector where it is built. */
  readonly collector: boolean
  readonly profile?: string | undefined
  /** How many rows to store, where the time alone says otherwise. */
  readonly rows?: number | undefined
  readonly onProgress: (line: string) => void
}

export interface Bench {
  readonly name: string
  /** One line for the list. */
  readonly summary: string
  readonly secondsDefault: number
  run(options: BenchOptions): Promise<BenchReport>
}

/** The command that repeats a run; a machine-readable output does not change it. */
export function commandOf(name: string, { seconds, smoke, collector, rows }: BenchOptions): string {
  const asked = `${smoke ? '--smoke' : `--seconds ${seconds}`}${rows === undefined ? '' : ` --rows ${rows}`}`
  return `npm run bench -- ${name} ${asked}${collector ? '' : ' --no-collector'}`
}

/** Makes a folder, hands it to `use`, and removes it with everything in it, whatever happens. */
export async function inFolder<T>(use: (makeFolder: (name: string) => string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-bench-'))
  const makeFolder = (name: string): string => {
    const path = join(folder, name)
    mkdirSync(path, { recursive: true })
    return path
  }
  try {
    return await use(makeFolder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
