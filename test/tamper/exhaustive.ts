/**
 * Every single byte of a trail of 200 records, in every source: `npm run test:tamper -- exhaustive`. Standard input is left
 * out, because it is read as the NDJSON file is.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeTrail, TrailWriter } from '../support/trail.ts'
import { keys, stream } from './attacks.ts'
import { type ByteTally, type Stride, tryBytes } from './bytes.ts'
import { type FileTitle, fileTitles, makeFileCopies } from './file-copies.ts'
import { tryRows } from './row-bytes.ts'

export type SourceTitle = FileTitle | 'PostgreSQL'
export const sourceTitles: readonly SourceTitle[] = [...fileTitles, 'PostgreSQL']

/**
 * 200 records: the opening, 194 acts with a checkpoint after every 64 of them, the closing, the final checkpoint. Every
 * 16th act has what an act may have, the others as little: each of their bytes costs a verification of all 200.
 */
export function wholeTrail(): readonly string[] {
  const writer = new TrailWriter(stream, keys).open()
  const nothingElse = { level: undefined, operation: undefined, outcome: undefined, service: undefined }
  for (let act = 1; act <= 194; act += 1) {
    if (act % 16 === 0) writer.act(1)
    else writer.seal({ action: 'a', ...nothingElse })
    if (act % 64 === 0) writer.checkpoint()
  }
  return writer.close().lines
}

/** 20 records in the form that other tests use. */
export const shortTrail = (): readonly string[] => makeTrail({ stream, keys, records: 16, interval: 8 }).lines

/** Tries the bytes of every kind of file and folder whose title `isWanted`. */
export async function* tryFiles(
  lines: readonly string[],
  stride: Stride,
  isWanted: (title: string) => boolean = () => true,
): AsyncGenerator<ByteTally> {
  const folder = mkdtempSync(join(tmpdir(), 'otel-audit-bytes-'))
  try {
    // One after the other: each takes a core.
    for (const copy of makeFileCopies(folder, lines))
      if (isWanted(copy.title)) yield await tryBytes(copy, keys.verifier, stride)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The rows of a database, their columns and the heads of its streams. */
export function tryDatabase(url: string, lines: readonly string[], stride: Stride): Promise<ByteTally> {
  return tryRows({ url, lines, verifier: keys.verifier, stride })
}
