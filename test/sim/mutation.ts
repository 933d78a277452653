/** Runs histories against a copy of the sources with a change in them, until one fails. */

import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Change, Mutant } from './mutants.ts'
import { SimThread } from './pool.ts'

const root = join(import.meta.dirname, '..', '..')
const batchHistories = 25
/** A mutant may also hang; what it hangs in is not looked at. */
const batchLimitMs = 60_000

export interface Hunt {
  /** How the mutant was noticed; `undefined` when it was not. */
  readonly caught: string | undefined
  /** Random histories that were run. */
  readonly histories: number
}

/** Throws when a change does not fit the source. */
export async function huntMutant(mutant: Mutant, historiesMax: number): Promise<Hunt> {
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-mutant-'))
  try {
    for (const part of ['src', 'test/sim', 'package.json'])
      cpSync(join(root, part), join(folder, part), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    for (const change of mutant.changes) applyChange(folder, change)
    return await hunt(pathToFileURL(join(folder, 'test/sim/worker.ts')), mutant, historiesMax)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function applyChange(folder: string, { file, from, to }: Change): void {
  const path = join(folder, 'src', file)
  const text = readFileSync(path, 'utf8')
  const count = text.split(from).length - 1
  if (count !== 1) throw new Error(`src/${file} has ${count} times, not once: ${from.trim()}`)
  writeFileSync(
    path,
    text.replace(from, () => to),
  )
}

async function hunt(module: URL, { script }: Mutant, historiesMax: number): Promise<Hunt> {
  const thread = new SimThread(module)
  let histories = 0
  try {
    if (script !== undefined) return { caught: firstOf(await thread.run({ script }, batchLimitMs)), histories }
    while (histories < historiesMax) {
      const result = await thread.run({ from: histories, count: batchHistories }, batchLimitMs) // until one fails
      histories += batchHistories
      const caught = firstOf(result)
      if (caught !== undefined) return { caught, histories }
    }
    return { caught: undefined, histories }
  } catch (error) {
    return { caught: error instanceof Error ? error.message : String(error), histories }
  } finally {
    await thread.end()
  }
}

function firstOf(result: { failures: readonly { message: string }[] }): string | undefined {
  return result.failures[0]?.message
}
