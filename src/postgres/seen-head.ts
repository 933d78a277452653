/**
 * The last head of the journal that this machine has seen, in a file of its own. A database that was restored from a
 * copy keeps its identity, so that nothing in it tells that numbers behind its head were issued before: this does.
 * Always holds: it is durable before anything up to the head leaves this machine, and in a database that has lost
 * nothing it is never ahead.
 */

import { join } from 'node:path'
import { leafHash } from '../chain/hash.ts'
import { diskFiles, ensureDirectory, exists } from '../spool/files.ts'
import { readWhole, writeWhole } from '../spool/whole-file.ts'
import type { Queryable } from './client.ts'
import { readRange } from './journal.ts'
import { readHead } from './records.ts'

export interface SeenHead {
  readonly stream: string
  readonly sequence: number
  readonly hash: string
}

export class SeenHeadFile {
  readonly #directory: string
  readonly #path: string
  #head: SeenHead | undefined

  /** Makes the directory if need be. What cannot be read counts as nothing seen. */
  constructor(directory: string) {
    ensureDirectory(directory)
    this.#directory = directory
    this.#path = join(directory, 'journal-head')
    this.#head = exists(this.#path) ? parseHead(readWhole(diskFiles, this.#path)) : undefined
  }

  get head(): SeenHead | undefined {
    return this.#head
  }

  /** Saves a head of the journal's current stream, unless a later one was seen; durable on return. */
  note(head: SeenHead): void {
    const isLater = head.stream !== this.#head?.stream || head.sequence > this.#head.sequence
    if (isLater) this.save(head)
  }

  /** Durable on return. */
  save(head: SeenHead): void {
    const directory = diskFiles.openDirectory(this.#directory)
    try {
      writeWhole(diskFiles, directory, { path: this.#path, bytes: Buffer.from(`${JSON.stringify(head)}\n`) })
    } finally {
      diskFiles.close(directory)
    }
    this.#head = head
  }
}

/** Whether a database has lost what was seen, or holds another record in its place. */
export async function lacksHead(client: Queryable, seen: SeenHead): Promise<boolean> {
  const head = await readHead(client, seen.stream)
  if (head === undefined || head.sequence < seen.sequence) return true
  if (head.sequence === seen.sequence) return head.hash !== seen.hash
  const [record] = await readRange(client, { stream: seen.stream, after: seen.sequence - 1, upTo: seen.sequence })
  return record !== undefined && leafHash(record) !== seen.hash // one that is gone was pruned, and cannot be compared
}

function parseHead(bytes: Buffer): SeenHead | undefined {
  try {
    const { stream, sequence, hash } = JSON.parse(bytes.toString('utf8')) as Partial<Record<string, unknown>>
    if (typeof stream !== 'string' || typeof sequence !== 'number' || typeof hash !== 'string') return undefined
    return { stream, sequence, hash }
  } catch {
    return undefined
  }
}
