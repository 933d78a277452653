/**
 * `createAudit`: checks the options and opens what is local. What can be wrong here (options, key, lock, spool, a local
 * file) throws before the first event, and then nothing stays open.
 */

import type { Catalogue } from '../event/catalogue.ts'
import { Spool } from '../spool/spool.ts'
import { Audit } from './audit.ts'
import { readContext } from './carry.ts'
import type { AuditConfig } from './config.ts'
import { sayConfig } from './config-notices.ts'
import { inheritContext } from './context.ts'
import type { AuditOptions } from './options.ts'
import { readOptions, readOptionsAndEnvironment } from './read-config.ts'
import { openSigning } from './signing.ts'
import { openInstance } from './slots.ts'
import { workerModule } from './threads.ts'

/** A trail whose `emit` knows the actions of a catalogue: `CataloguedAudit<typeof catalogue>`. It is an `Audit`. */
export type CataloguedAudit<Known> = undefined extends Known ? Audit : Audit & { readonly catalogue: Known }

/**
 * Opens the trail. Throws `AuditError` for what is wrong here and now; remote trouble never throws. With `actions`, the
 * compiler holds events to the catalogue.
 */
export function createAudit<Known extends Catalogue | undefined = undefined>(
  options: AuditOptions & { readonly actions?: Known } = {},
): CataloguedAudit<Known> {
  return openAudit(readOptions(options)) as CataloguedAudit<Known>
}

/**
 * As `createAudit`, with what `options` leave open read from the environment and from the JSON file that
 * `AUDIT_CONFIG_FILE` names (docs/configuration.md). Without any destination records go to standard output. Events go on
 * in the trace and the piece of work of whoever started this process, when `TRACEPARENT` and `AUDIT_CORRELATION_ID` say so.
 */
export function createAuditFromEnv<Known extends Catalogue | undefined = undefined>(
  options: AuditOptions & { readonly actions?: Known } = {},
): CataloguedAudit<Known> {
  const audit = openAudit(readOptionsAndEnvironment(options, process.env)) as CataloguedAudit<Known>
  const { TRACEPARENT, AUDIT_CORRELATION_ID } = process.env
  inheritContext(readContext({ TRACEPARENT, AUDIT_CORRELATION_ID }))
  return audit
}

function openAudit(config: AuditConfig): Audit {
  const worker = workerModule(config.workerUrl)
  const instance = openInstance(config, (directory) => openSpool(config, directory))
  try {
    const signing = openSigning(config, instance.spool.directory)
    sayConfig(config)
    return new Audit({ config, worker, instance, signing })
  } catch (error) {
    instance.spool.abandon()
    throw error
  }
}

/** How long a sidecar may take to recover the spool, in seconds, before it counts as another writer. */
const sidecarSecondsMax = 10

function openSpool({ spool, deployment, destinations, isExternal }: AuditConfig, directory: string): Spool {
  const { bytesMax, reserveBytes, unsyncedBytesMax, keepMinutes } = spool
  const names = destinations.map((one) => one.name ?? one.type)
  const limits = { bytesMax, reserveBytes, unsyncedBytesMax, keepMs: keepMinutes * 60_000 }
  const mostSeconds = isExternal ? sidecarSecondsMax : undefined
  const lockWaitSeconds = spool.instances === 'slots' ? 0 : mostSeconds // with slots there is another one
  return Spool.open({ directory, deployment, destinations: names, ...limits, lockWaitSeconds })
}
