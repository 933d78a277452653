/**
 * Where a spool lies, so that a copy of it is known as one: a directory that was restored, cloned or taken to another
 * host goes on in a stream of its own instead of issuing the original's numbers again. Compares only what both sides
 * know. A snapshot of the whole machine cannot be told here; a destination's newer head tells it.
 */

import type { Files } from './files.ts'

/** What a copied or restored spool does not have in common with the original. */
export interface SpoolPlace {
  /** Device and inode of the directory. */
  readonly directory: string
  /** Device and inode of the control file; it keeps them from its temporary name to its real one. */
  readonly control: string
  /** When the control file was made, for inodes are given out again; empty where the file system does not remember. */
  readonly born: string
  /** `/etc/machine-id`; empty where there is none. */
  readonly machine: string
}

/** The place of a control file under the name it has now. */
export function placeOf(files: Files, spool: { directory: string; control: string; machine: string }): SpoolPlace {
  const { directory, control, machine } = spool
  const born = files.born?.(control) ?? ''
  return { directory: files.identity(directory), control: files.identity(control), born, machine }
}

/** Whether a spool that was written at one place is found at another. One that never had a place has not moved. */
export function hasMoved(written: SpoolPlace | undefined, found: SpoolPlace): boolean {
  if (written === undefined) return false
  const differs = (member: keyof SpoolPlace) =>
    written[member] !== '' && found[member] !== '' && written[member] !== found[member]
  return differs('directory') || differs('control') || differs('born') || differs('machine')
}
