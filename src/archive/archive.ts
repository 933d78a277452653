/** Archives records of any streams, each stream for itself: one that cannot go on does not keep the others from it. */

import type { StoredRecord } from '../event/record.ts'
import { type Into, StreamArchive, type StreamOutcome } from './stream-archive.ts'

/** Archives everything; what became of each stream that was among it, in the order of their names. */
export async function archiveRecords(
  groups: AsyncIterable<readonly StoredRecord[]>,
  into: Into,
): Promise<StreamOutcome[]> {
  const archives = new Map<string, StreamArchive>()
  for await (const group of groups) {
    for (const record of group) {
      const archive = archives.get(record.stream) ?? (await StreamArchive.open(record.stream, into))
      archives.set(record.stream, archive)
      await archive.add(record)
    }
  }
  const outcomes: StreamOutcome[] = []
  for (const name of [...archives.keys()].sort()) {
    const archive = archives.get(name)
    if (archive !== undefined) outcomes.push(await archive.finish())
  }
  return outcomes
}
