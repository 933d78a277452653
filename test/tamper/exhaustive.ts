/**
 * Every single byte of a trail of 200 records, in every source: `npm run test:tamper -- exhaustive`. Standard input is left
 * out, because it is read as the NDJSON file is.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeTrail } from '../support/trail.ts'
import { keys, stream } from './attacks.ts'
import { type ByteTally, type Stride, tryBytes } from './bytes.ts'
import { makeFileCopies } from './file-copies.ts'
import { tryRows } from './row-bytes.ts'

/** 200 records: the opening, 192 acts with a checkpoint after every 32 of them, the closing, the final checkpoint. */
export const wholeTrail = (): readonly string[] => makeTrail({ stream, keys, records: 192, interval: 32 }).lines
/** 20 records in the same form. */
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
