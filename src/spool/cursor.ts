/**
 * How far one destination has confirmed: file `cursor-NAME`, two alternating synced slots (`slots.ts`). The truth is
 * the record (stream, sequence); the position is a hint and is checked before it is believed.
 */

import { join } from 'node:path'
import type { Files } from './files.ts'
import type { ReadPlace } from './segment.ts'
import { encodeSlot, newest, readSlot, type Slot, slotBytes } from './slots.ts'

/** A record by its number. */
export interface RecordNumber {
  readonly stream: string
  readonly sequence: number
}

export interface Cursor {
  /** The last record that the destination durably has; absent before the first. */
  readonly confirmed?: RecordNumber | undefined
  /** Where the next record was expected when this was written. */
  readonly hint?: ReadPlace | undefined
  /** The last record of a batch on its way; only for destinations that must get the same batch again. */
  readonly inFlightTo?: RecordNumber | undefined
}

export class CursorFile {
  readonly #files: Files
  readonly #file: number
  #generation: number
  #cursor: Cursor

  /**
   * Opens or creates the cursor of a destination; both slots damaged count as no cursor: records are sent again. Throws
   * `SPOOL_VERSION` for a later format.
   */
  constructor(files: Files, directory: string, name: string) {
    const fileName = cursorFileName(name)
    const path = join(directory, fileName)
    const own = files.openDirectory(directory)
    const present = files.list(directory).includes(fileName)
    this.#files = files
    this.#file = files.open(path, present ? 'write' : 'create')
    // Both slots have their room from the start: a save needs none on a full disk.
    if (files.size(this.#file) < 2 * slotBytes) files.write(this.#file, Buffer.alloc(2 * slotBytes), 0)
    if (!present) files.syncDirectory(own)
    files.close(own)
    const slot = newestSlot(files, { file: this.#file, path })
    this.#generation = slot?.generation ?? 0
    this.#cursor = (slot?.members ?? {}) as Cursor
  }

  get cursor(): Cursor {
    return this.#cursor
  }

  /** Durable on return. */
  save(cursor: Cursor): void {
    const generation = this.#generation + 1
    this.#files.write(this.#file, encodeSlot({ generation, members: { ...cursor } }), (generation % 2) * slotBytes)
    this.#files.sync(this.#file)
    this.#generation = generation
    this.#cursor = cursor
  }

  close(): void {
    this.#files.close(this.#file)
  }
}

/** Makes the cursors of these destinations where they are missing, while there is room for them. */
export function makeCursors(files: Files, directory: string, names: readonly string[]): void {
  for (const name of names) new CursorFile(files, directory, name).close()
}

/** The cursor of a destination, read only. Throws `SPOOL_VERSION` for a later format. */
export function readCursor(files: Files, directory: string, name: string): Cursor {
  const path = join(directory, cursorFileName(name))
  const file = files.open(path, 'read')
  try {
    return (newestSlot(files, { file, path })?.members ?? {}) as Cursor
  } finally {
    files.close(file)
  }
}

/** File name of a destination's cursor. */
export function cursorFileName(name: string): string {
  return `cursor-${encodeName(name)}`
}

/** A destination's name as a part of a path: characters that file systems dislike are percent-encoded. */
export function encodeName(name: string): string {
  return encodeURIComponent(name).replaceAll('*', '%2A')
}

/** The destination's name in a cursor's file name, or `undefined` for any other file. */
export function cursorName(fileName: string): string | undefined {
  return fileName.startsWith('cursor-') ? decodeURIComponent(fileName.slice('cursor-'.length)) : undefined
}

function newestSlot(files: Files, open: { file: number; path: string }): Slot | undefined {
  return newest(readSlot(files, open, 0), readSlot(files, open, 1))
}
