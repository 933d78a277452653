/**
 * Which spool a process writes: the one that `spool.directory` names or, with `instances: 'slots'`, the first of its
 * slots that nobody holds. Always holds: a slot has one writer, by its lock; a stream outlives its process, because the
 * next one that is free takes the same slot. A slot that cannot be read is passed over loudly and stays as it is.
 */

import { join } from 'node:path'
import type { DestinationOptions } from '../destination/destination.ts'
import { checkFileWritable } from '../destination/file-append.ts'
import { checkModule } from '../destination/optional-module.ts'
import { destinationOfSlot } from '../destination/slot-path.ts'
import { AuditError } from '../errors.ts'
import type { AdoptStart } from '../forward/adopt.ts'
import { diskFiles, syncNames } from '../spool/files.ts'
import { slotName } from '../spool/instances.ts'
import type { Spool } from '../spool/spool.ts'
import type { AuditConfig } from './config.ts'
import { announce } from './notice.ts'
import { checkRetention } from './retention-task.ts'

/** An opened spool and what depends on which one it is. */
export interface Instance {
  readonly spool: Spool
  /** `slot-0001`; absent for a single spool. */
  readonly slot: string | undefined
  readonly destinations: readonly DestinationOptions[]
  /** Where to look for slots that lost their process. */
  readonly adopt: AdoptStart | undefined
}

/** Opens the spool of this process by `open`. Throws what `Spool.open` throws, `FILE_NOT_WRITABLE`, and for what is not installed. */
export function openInstance(config: AuditConfig, open: (directory: string) => Spool): Instance {
  const { deployment, destinations, isExternal } = config
  const { directory, instances } = config.spool
  checkRetention(config)
  if (instances === 'single') {
    if (!isExternal) checkLocal(destinations)
    return { spool: open(directory), slot: undefined, destinations, adopt: undefined }
  }
  const { slot, spool } = openSlot(directory, open)
  const own = destinations.map((one) => destinationOfSlot(one, slot))
  try {
    syncNames(diskFiles, directory) // whoever made the slot may have died before its name was durable
    if (!isExternal) checkLocal(own)
  } catch (error) {
    spool.abandon()
    throw error
  }
  const adopt = isExternal ? undefined : { parent: directory, own: slot, deployment, destinations }
  return { spool, slot, destinations: own, adopt }
}

/** Slots that one process cannot read must not keep all of them from starting; nothing of such a slot is lost. */
const passedOver: ReadonlySet<string> = new Set(['SPOOL_CORRUPT', 'SPOOL_VERSION'])

function openSlot(parent: string, open: (directory: string) => Spool): { slot: string; spool: Spool } {
  for (let number = 1; ; number += 1) {
    const slot = slotName(number)
    const directory = join(parent, slot)
    try {
      return { slot, spool: open(directory) }
    } catch (error) {
      if (!(error instanceof AuditError)) throw error
      if (passedOver.has(error.code)) announce(`${slot} is passed over: ${error.message}. ${error.hint}`)
      else if (error.code !== 'SPOOL_LOCKED') throw error
    }
  }
}

function checkLocal(destinations: readonly DestinationOptions[]): void {
  for (const destination of destinations) {
    if (destination.type === 'file') checkFileWritable(destination.path)
    checkModule(destination)
  }
}
