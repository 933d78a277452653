/** The trail in every kind of file and folder, for the change of single bytes. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { toNdjson, toOtlp } from '../support/trail.ts'
import { type FileCopy, filesBeneath, readAll, readGzip, readLogRecords, readSegment, readZstd } from './bytes.ts'
import { craftArchive } from './crafted-archive.ts'
import { craftSpool } from './crafted-spool.ts'
import { rememberLines } from './remembered.ts'

export const fileTitles = [
  'audit.ndjson',
  'closed.ndjson.gz',
  'closed.ndjson.zst',
  'collector.jsonl',
  'spool',
  'archive',
] as const
export type FileTitle = (typeof fileTitles)[number]

/** In a line of the collector's file. */
const batchRecords = 4

/** Writes the copies into a folder, in the order of their titles. */
export function makeFileCopies(folder: string, lines: readonly string[]): FileCopy[] {
  const ndjson = toNdjson(lines)
  const final = Buffer.from(lines.at(-1) ?? '')
  const inFile = (name: string, bytes: string | Buffer): Pick<FileCopy, 'title' | 'path' | 'parts'> => {
    const path = join(folder, name)
    writeFileSync(path, bytes)
    return { title: name, path, parts: [] }
  }
  const inFolder = (name: string): string => {
    mkdirSync(join(folder, name))
    return join(folder, name)
  }
  const [spool, archive] = [inFolder('spool'), inFolder('archive')]
  craftSpool(spool, lines)
  craftArchive(archive, lines)
  return [
    { ...inFile('audit.ndjson', ndjson), final, read: readAll },
    { ...inFile('closed.ndjson.gz', gzipSync(ndjson)), final: undefined, read: readGzip },
    { ...inFile('closed.ndjson.zst', zstdCompressSync(ndjson)), final: undefined, read: readZstd },
    {
      ...inFile('collector.jsonl', toOtlp(lines, batchRecords)),
      final: lastLogRecord(lines),
      read: readLogRecords,
      remember: rememberLines,
    },
    { title: 'spool', path: spool, parts: filesBeneath(spool), final, read: readSegment },
    { title: 'archive', path: archive, parts: filesBeneath(archive), final, read: readAll },
  ]
}

/** The final checkpoint as the collector's file holds it: its body and what stands beside it. */
function lastLogRecord(lines: readonly string[]): Buffer {
  const batch = JSON.parse(toOtlp(lines.slice(-1))) as {
    resourceLogs: { scopeLogs: { logRecords: unknown[] }[] }[]
  }
  return Buffer.from(JSON.stringify(batch.resourceLogs[0]?.scopeLogs[0]?.logRecords[0]))
}
