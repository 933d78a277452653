/**
 * Where the copies of several slots go: a file belongs to one writer, so with `instances: 'slots'` its path names the
 * slot, and whoever delivers a slot's records, its own process or one that adopted it, writes that slot's file.
 */

import type { DestinationOptions } from './destination.ts'

/** Stands for the slot's number in the path of a file. */
export const slotMark = '{slot}'

/** The destination as a slot (`slot-0001`) has it. */
export function destinationOfSlot(options: DestinationOptions, slot: string): DestinationOptions {
  if (options.type !== 'file') return options
  return { ...options, path: options.path.replaceAll(slotMark, slot.slice('slot-'.length)) }
}

/** Several processes would write the same file. */
export function isSharedFile(options: DestinationOptions): boolean {
  return options.type === 'file' && !options.path.includes(slotMark)
}
