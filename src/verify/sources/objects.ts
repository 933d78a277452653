/**
 * What the `s3` destination has put into a bucket: objects of NDJSON, one a batch, compressed or not, below the name of
 * their stream. Their keys begin with the number of the first record, so that they sort in the order of sealing, and are
 * read as one NDJSON file after the other.
 *   <stream>/<first>-<last>-<leaf hash of the last>.ndjson.gz     numbers in 16 digits
 */

import { listStreams } from '../../archive/archive-end.ts'
import type { ArchiveStore } from '../../archive/store.ts'
import { AuditError, errorText } from '../../errors.ts'
import type { Source } from '../source.ts'
import { readBytes, unreadable } from '../sources-files.ts'
import { createNdjsonSource } from './ndjson.ts'
import { createSeriesSource } from './series.ts'

const objectForm = /^\d{16}-\d{16}-[0-9a-f]{64}\.ndjson(?:\.gz|\.zst)?$/

/** The objects of every stream, or of those that are named; `undefined` when there are none. */
export async function openObjects(store: ArchiveStore, only?: readonly string[]): Promise<Source | undefined> {
  const parts: Source[] = []
  try {
    // One stream after the other: their objects are in order, and so are the streams.
    for (const stream of only ?? (await listStreams(store))) parts.push(...(await partsOf(store, stream)))
  } catch (cause) {
    if (!(cause instanceof AuditError)) throw cause
    throw unreadable(store.name, [errorText(cause).replace(`${store.name}: `, ''), cause.hint], cause)
  }
  return parts.length === 0 ? undefined : createSeriesSource(store.name, parts)
}

async function partsOf(store: ArchiveStore, stream: string): Promise<Source[]> {
  const names = (await store.list(stream)).filter((name) => objectForm.test(name))
  return names.map((name) => {
    const path = `${stream}/${name}`
    return createNdjsonSource(path, () => readBytes(path, readObject(store, path)))
  })
}

async function* readObject(store: ArchiveStore, path: string): AsyncGenerator<Buffer> {
  const bytes = await store.read(path)
  if (bytes !== undefined) yield bytes
}
