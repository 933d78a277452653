/** Placeholder head: see docs/formats.md section 1. */

/** A sealed record as any copy holds it: its canonical bytes and its place, both as the carrier states them. */
export interface StoredRecord {
  readonly stream: string
  /** Counts from 1, gap-free in its stream. */
  readonly sequence: number
  readonly bytes: Buffer
}
