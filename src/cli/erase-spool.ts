/**
 * Where a spool directory may still hold disclosures of a person: in segments, and in what was set aside as damaged. Files
 * are searched as bytes, because what is damaged must be found too. Reads only.
 */

import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { AuditError, errorText } from '../errors.ts'

/** A file that holds disclosures of a subject. */
export interface HoldingFile {
  readonly file: string
  readonly disclosures: number
}

/** What a search of one directory has found. */
export interface SearchedSpool {
  readonly directory: string
  /** Nothing is left there. */
  readonly isClear: boolean
  readonly files: readonly HoldingFile[]
}

const readBytes = 4 * 2 ** 20

/** Searches a spool directory, its slots and its quarantine. Throws `SOURCE_UNREADABLE`. */
export function searchSpool(directory: string, subjects: readonly string[]): SearchedSpool {
  try {
    const names = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
    const paths = names.map(({ parentPath, name }) => join(parentPath, name)).sort()
    // As `encodeDisclosures` writes it. In a record the quotes of any text stand behind backslashes.
    const marks = subjects.map((subject) => Buffer.from(`"${subject}":["`))
    const counted = paths.map((file) => ({ file, disclosures: countIn(file, marks) }))
    const files = counted.filter(({ disclosures }) => disclosures > 0)
    return { directory, isClear: files.length === 0, files }
  } catch (cause) {
    throw new AuditError('SOURCE_UNREADABLE', `${directory}: ${errorText(cause)}`, {
      setting: '--spool',
      hint: 'Name the directory of spool.directory, and let this user read it.',
      cause,
    })
  }
}

/** How many records of a file have disclosures under one of the marks beside them. */
function countIn(path: string, marks: readonly Buffer[]): number {
  const overlap = Math.max(...marks.map((mark) => mark.length)) - 1
  const file = openSync(path, 'r')
  try {
    let count = 0
    let held = Buffer.alloc(0)
    for (;;) {
      const fresh = Buffer.allocUnsafe(readBytes)
      const length = readSync(file, fresh, 0, readBytes, null)
      if (length === 0) return count
      const bytes = Buffer.concat([held, fresh.subarray(0, length)])
      for (const mark of marks) count += occurrences(bytes, mark, held.length)
      held = bytes.subarray(Math.max(0, bytes.length - overlap))
    }
  } finally {
    closeSync(file)
  }
}

/** Those that end behind `from`: the others were counted with the bytes before. */
function occurrences(bytes: Buffer, mark: Buffer, from: number): number {
  let count = 0
  for (let at = bytes.indexOf(mark); at !== -1; at = bytes.indexOf(mark, at + mark.length))
    if (at + mark.length > from) count += 1
  return count
}
