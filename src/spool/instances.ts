/**
 * Several spools below one directory, for `instances: 'slots'`: `slot-0001`, `slot-0002`, … Each is a spool of its own
 * with its own lock; what holds no control file is none yet. Who takes which one is not decided here.
 */

import { join } from 'node:path'
import type { Files } from './files.ts'

const slotPattern = /^slot-(\d{4,})$/

/** The name of a slot by its number, which counts from 1. */
export function slotName(number: number): string {
  return `slot-${String(number).padStart(4, '0')}`
}

/** Names of the slots below `parent`, by number. */
export function listSlots(files: Files, parent: string): string[] {
  const numberOf = (name: string) => Number(slotPattern.exec(name)?.[1])
  return files
    .list(parent)
    .filter((name) => slotPattern.test(name))
    .sort((a, b) => numberOf(a) - numberOf(b))
}

/**
 * The spools that a directory stands for: those of its slots when it holds slots and is no spool itself, else it alone.
 * A slot that lacks its control file beside segments counts: that is damage to be named.
 */
export function spoolDirectories(files: Files, directory: string): string[] {
  if (files.list(directory).includes('control')) return [directory]
  const slots = listSlots(files, directory).map((slot) => join(directory, slot))
  const spools = slots.filter((slot) => files.list(slot).some((name) => name === 'control' || name.startsWith('seg-')))
  return spools.length === 0 ? [directory] : spools
}
