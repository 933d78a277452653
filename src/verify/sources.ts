/**
 * Opens what the user names as a SOURCE, finding its kind by looking: a spool directory, a database URL, a file of
 * NDJSON or OTLP JSON, or `-` for standard input. The only file of this room that touches the disk, and it never
 * writes. What cannot be a source is `AuditError` SOURCE_UNREADABLE with the reason.
 */

import { createReadStream, statSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AuditError, errorCode, errorText } from '../errors.ts'
import { diskFiles } from '../spool/files.ts'
import { spoolDirectories } from '../spool/instances.ts'
import type { Source } from './source.ts'
import { createNdjsonSource } from './sources/ndjson.ts'
import { createOtlpSource } from './sources/otlp.ts'
import { createSpoolSource } from './sources/spool.ts'

const chunkBytes = 256 * 1_024
const chunked = { highWaterMark: chunkBytes }

/** What one name stands for: each slot of a directory that holds slots (`instances: 'slots'`), else itself. */
export function expandSource(text: string): string[] {
  try {
    return statSync(text, { throwIfNoEntry: false })?.isDirectory() ? spoolDirectories(diskFiles, text) : [text]
  } catch {
    return [text] // whoever opens it says why it cannot be read
  }
}

/** Opens a source far enough to know its kind. Nothing is read in full before `read()`. */
export async function openSource(text: string): Promise<Source> {
  if (text === '-') return openStream('standard input', createReadStream('', { ...chunked, fd: 0, autoClose: false }))
  if (/^postgres(ql)?:\/\//i.test(text)) {
    // Only here: verifying files needs no database driver.
    const { createPostgresSource } = await import('./sources/postgres.ts')
    return createPostgresSource(text)
  }
  const found = await stat(text).catch((thrown: unknown) => refuseMissing(text, thrown))
  if (found.isDirectory()) return openDirectory(text)
  if (!found.isFile()) return openStream(text, createReadStream(text, chunked))
  return recogniseLines(text, await readHead(text), () => readBytes(text, createReadStream(text, chunked)))
}

async function openDirectory(path: string): Promise<Source> {
  const holdsSpool = await stat(join(path, 'control')).then(
    (control) => control.isFile(),
    () => false,
  )
  if (!holdsSpool) throw unreadable(path, ['it is a directory without a spool in it', sourceHint])
  return createSpoolSource(path)
}

/** What can be read only once: a pipe, a terminal. */
async function openStream(name: string, stream: AsyncIterable<Buffer>): Promise<Source> {
  const chunks = readBytes(name, stream)
  const { value: head, done } = await chunks.next()
  return recogniseLines(name, done ? Buffer.alloc(0) : head, async function* () {
    yield head
    yield* chunks
  })
}

function recogniseLines(name: string, head: Buffer, openBytes: () => AsyncIterable<Buffer>): Source {
  if (head.length === 0)
    throw unreadable(name, ['it is empty', 'nothing was verified; name the file that holds the records'])
  const compression = compressionOf(head)
  if (compression !== undefined)
    throw unreadable(name, [`it is compressed (${compression})`, 'decompress it, or pipe it to: otel-audit verify -'])
  return isOtlp(head) ? createOtlpSource(name, openBytes) : createNdjsonSource(name, openBytes)
}

/** Any line that begins as a batch of log records: one damaged line must not change the kind of a file. */
function isOtlp(head: Buffer): boolean {
  return /^\s*\{\s*"resourceLogs"/m.test(head.toString('latin1'))
}

async function readHead(path: string): Promise<Buffer> {
  try {
    await using file = await open(path, 'r')
    const { buffer, bytesRead } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, 0)
    return buffer.subarray(0, bytesRead)
  } catch (cause) {
    throw unreadable(path, [errorText(cause), 'let this user read it'], cause)
  }
}

async function* readBytes(name: string, stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* stream
  } catch (cause) {
    throw unreadable(name, [errorText(cause), 'the reading broke off: copy the source first, or try again'], cause)
  }
}

function compressionOf(head: Buffer): string | undefined {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip'
  return head.subarray(0, 4).equals(Buffer.of(0x28, 0xb5, 0x2f, 0xfd)) ? 'zstd' : undefined
}

function refuseMissing(path: string, cause: unknown): never {
  const isMissing = errorCode(cause) === 'ENOENT'
  throw unreadable(path, [isMissing ? 'there is no such file or directory' : errorText(cause), sourceHint], cause)
}

const sourceHint = 'a source is a spool directory, an NDJSON or OTLP JSON file, postgres://… or - for standard input'

/** `[reason, hint]` and the cause. */
function unreadable(name: string, [reason, hint]: readonly [string, string], cause?: unknown): AuditError {
  return new AuditError('SOURCE_UNREADABLE', `${name}: ${reason}`, { setting: 'SOURCE', hint, cause })
}
