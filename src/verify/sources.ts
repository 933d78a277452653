/**
 * Opens what the user names as a SOURCE, finding its kind by looking: a spool directory, a database URL, an archive in a
 * folder or a bucket, NDJSON or OTLP JSON in a file, a series of files or a folder of them, or `-` for standard input;
 * compressed or not. Never writes. What cannot be a source is `AuditError` SOURCE_UNREADABLE with the reason.
 */

import { readdirSync, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { isBucketUrl, openArchive } from '../archive/location.ts'
import { openFolder } from '../archive/store.ts'
import { errorCode, errorText } from '../errors.ts'
import { diskFiles } from '../spool/files.ts'
import { spoolDirectories } from '../spool/instances.ts'
import type { Source } from './source.ts'
import { createArchiveSource } from './sources/archive.ts'
import { createNdjsonSource } from './sources/ndjson.ts'
import { openObjects } from './sources/objects.ts'
import { createOtlpSource } from './sources/otlp.ts'
import { createSeriesSource } from './sources/series.ts'
import { createSpoolSource } from './sources/spool.ts'
import { filesIn, readFile, readStandardInput, seriesOf, unreadable } from './sources-files.ts'

/**
 * What one name stands for: each slot of a directory that holds slots (`instances: 'slots'`), each NDJSON file of a
 * folder of them, else itself.
 */
export function expandSource(text: string): string[] {
  try {
    if (!statSync(text, { throwIfNoEntry: false })?.isDirectory()) return [text]
    const spools = spoolDirectories(diskFiles, text)
    const isSpool = spools[0] !== text || statSync(join(text, 'control'), { throwIfNoEntry: false }) !== undefined
    const files = isSpool || isArchive(text) || isArchivedStream(text) ? [] : filesIn(text)
    return files.length > 0 ? files : spools
  } catch {
    return [text] // whoever opens it says why it cannot be read
  }
}

/** Opens a source far enough to know its kind. Nothing is read in full before `read()`. */
export async function openSource(text: string): Promise<Source> {
  if (text === '-') return openStream('standard input', readStandardInput('standard input'))
  if (/^postgres(ql)?:\/\//i.test(text)) {
    // Only here: verifying files needs no database driver.
    const { createPostgresSource } = await import('./sources/postgres.ts')
    return createPostgresSource(text)
  }
  if (/^clickhouse:\/\//i.test(text)) {
    const { openClickhouseSource } = await import('./sources/clickhouse.ts')
    return openClickhouseSource(text)
  }
  if (isBucketUrl(text)) return openBucketSource(text)
  const found = await stat(text).catch((thrown: unknown) => refuseMissing(text, thrown))
  if (found?.isDirectory()) return openDirectory(text)
  return found?.isFile() === false ? openStream(text, readFile(text)) : openFiles(text)
}

async function openDirectory(path: string): Promise<Source> {
  if (isArchive(path)) return createArchiveSource(openFolder(path))
  if (isArchivedStream(path)) return createArchiveSource(openFolder(dirname(resolve(path))), [basename(resolve(path))])
  const holdsSpool = await stat(join(path, 'control')).then(
    (control) => control.isFile(),
    () => false,
  )
  if (!holdsSpool) throw unreadable(path, ['it is a directory without a spool and without NDJSON in it', sourceHint])
  return createSpoolSource(path)
}

/** The archive at this place, or one stream of the archive above it. */
async function openBucketSource(text: string): Promise<Source> {
  const [, above = '', name = '', rest = ''] = /^(.*\/)([^/?]+)\/?(\?.*)?$/.exec(text) ?? []
  const isStream = streamForm.test(name)
  const store = await openArchive(isStream ? `${above}${rest}` : text, 'SOURCE')
  const only = isStream ? [name] : undefined
  return (await openObjects(store, only)) ?? createArchiveSource(store, only)
}

const streamForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** A folder that holds archived streams, each under its name. */
function isArchive(path: string): boolean {
  return readdirSync(path).some((name) => isArchivedStream(join(path, name)))
}

function isArchivedStream(path: string): boolean {
  if (!streamForm.test(basename(resolve(path)))) return false
  return ['checkpoint', 'tail.ndjson'].some(
    (file) => statSync(join(path, file), { throwIfNoEntry: false }) !== undefined,
  )
}

/** A file, together with those that it was closed into: the oldest tells what they are. */
async function openFiles(path: string): Promise<Source> {
  const files = seriesOf(path)
  const [oldest = path] = files
  if (files.length <= 1) return recogniseLines(path, await headOf(readFile(oldest)), () => readFile(oldest))
  if (isOtlp(await headOf(readFile(oldest))))
    return recogniseLines(path, await headOf(readFile(path)), () => readFile(path))
  const parts = files.map((file) => createNdjsonSource(basename(file), () => readFile(file)))
  return createSeriesSource(path, parts)
}

/** What can be read only once: a pipe, a terminal. */
async function openStream(name: string, chunks: AsyncGenerator<Buffer>): Promise<Source> {
  const { value: head, done } = await chunks.next()
  return recogniseLines(name, done ? Buffer.alloc(0) : head, async function* () {
    yield head
    yield* chunks
  })
}

function recogniseLines(name: string, head: Buffer, openBytes: () => AsyncIterable<Buffer>): Source {
  if (head.length === 0)
    throw unreadable(name, ['it is empty', 'nothing was verified; name the file that holds the records'])
  return isOtlp(head) ? createOtlpSource(name, openBytes) : createNdjsonSource(name, openBytes)
}

/** Any line that begins as a batch of log records: one damaged line must not change the kind of a file. */
function isOtlp(head: Buffer): boolean {
  return /^\s*\{\s*"resourceLogs"/m.test(head.toString('latin1'))
}

async function headOf(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  for await (const chunk of chunks) return chunk
  return Buffer.alloc(0)
}

/** `undefined` for a file that was just closed and whose successor is not there yet. */
function refuseMissing(path: string, cause: unknown): undefined {
  const isMissing = errorCode(cause) === 'ENOENT'
  if (isMissing && wasClosed(path)) return undefined
  throw unreadable(path, [isMissing ? 'there is no such file or directory' : errorText(cause), sourceHint], cause)
}

function wasClosed(path: string): boolean {
  try {
    return seriesOf(path).length > 0
  } catch {
    return false // its directory is not there either
  }
}

const sourceHint =
  'a source is a spool directory, an archive (a folder or s3://…), NDJSON or OTLP JSON in a file or a folder, postgres://…, clickhouse://… or - for standard input'
