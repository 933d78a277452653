/**
 * Reload: configuration is read again, and what it says of policy and redaction holds from the next event on. Always
 * holds: a policy is in force only when the record that says so is in the spool, and a configuration with anything
 * wrong in it changes nothing. What needs a restart is named and left as it is. Names of settings are told, never values.
 */

import { AuditError } from '../errors.ts'
import type { JsonObject } from '../event/canonical.ts'
import { type AuditConfig, compareConfigs } from './config.ts'
import { sayConfig } from './config-notices.ts'
import { announce } from './notice.ts'
import { compileInForce } from './open-sealer.ts'
import type { AuditOptions } from './options.ts'
import { readAgain } from './read-config.ts'
import type { Sealer } from './sealer.ts'

/** What asked for a reload: the program, by options or to read the environment again; a signal; a change of the file. */
export type ReloadSource = 'code' | 'env' | 'SIGHUP' | 'file'

/** What came of a reload. */
export interface ReloadReport {
  /** `unchanged`: nothing that a reload applies has changed. `rejected`: see `error`; everything is as it was before. */
  readonly status: 'changed' | 'unchanged' | 'rejected'
  readonly source: ReloadSource
  /** Hash of the policy that was in force. */
  readonly before: string
  /** Hash of the policy that is in force now: the `policy` of the records to come. */
  readonly after: string
  /** Settings that differ from those that were in force. */
  readonly changedFields: readonly string[]
  /** Those of them that hold now. */
  readonly applied: readonly string[]
  /** Those that hold after a restart. */
  readonly restartRequired: readonly string[]
  /** Why it was rejected: what is wrong with the configuration, or why the change could not be sealed. */
  readonly error?: AuditError
}

export class Reloader {
  readonly #sealer: Pick<Sealer, 'enforce' | 'inForce' | 'sealFact'>
  readonly #isClosing: () => boolean
  /** As the trail was opened: what a reload does not apply is still so. */
  readonly #opened: AuditConfig
  /** As it was applied last. */
  #config: AuditConfig

  constructor(sealer: Pick<Sealer, 'enforce' | 'inForce' | 'sealFact'>, config: AuditConfig, isClosing: () => boolean) {
    this.#sealer = sealer
    this.#isClosing = isClosing
    this.#opened = config
    this.#config = config
  }

  /**
   * Reads the configuration again and applies it. `options` stand for those of the same name in code: `{ policy }`
   * replaces the policy as a whole and leaves everything else. Never throws.
   */
  reload(source: ReloadSource, options: AuditOptions = {}): ReloadReport {
    if (this.#isClosing()) return this.#rejected(source, closed())
    try {
      return this.#apply(source, this.#read(options))
    } catch (thrown) {
      const report = this.#rejected(source, thrown instanceof AuditError ? thrown : unexpected(thrown))
      this.#sealer.sealFact({ type: 'audit.policy.rejected', details: detailsOf(report) })
      announce(`reload (${source}): rejected, everything stays as it is: ${report.error?.message}`)
      return report
    }
  }

  #read(options: AuditOptions): AuditConfig {
    const { sources } = this.#config
    return readAgain({ ...this.#config, sources: { ...sources, options: { ...sources.options, ...options } } })
  }

  #apply(source: ReloadSource, config: AuditConfig): ReloadReport {
    const { applied } = compareConfigs(this.#config, config)
    const { restartRequired } = compareConfigs(this.#opened, config)
    const changedFields = [...applied, ...restartRequired]
    const inForce = compileInForce(config)
    const before = this.#sealer.inForce.policy.hash
    const status = applied.length === 0 ? 'unchanged' : 'changed'
    const report = {
      status,
      source,
      before,
      after: inForce.policy.hash,
      changedFields,
      applied,
      restartRequired,
    } as const
    if (source === 'file' && changedFields.length === 0) return report // touched, not changed
    if (!this.#sealer.enforce(inForce, { type: 'audit.policy.changed', details: detailsOf(report) })) {
      return this.#rejected(source, notSealed())
    }
    this.#config = config
    sayConfig(config)
    if (source === 'SIGHUP' || source === 'file') announce(`reload (${source}): ${describe(report)}`)
    return report
  }

  #rejected(source: ReloadSource, error: AuditError): ReloadReport {
    const { hash } = this.#sealer.inForce.policy
    const nothing = { changedFields: [], applied: [], restartRequired: [] }
    return { status: 'rejected', source, before: hash, after: hash, ...nothing, error }
  }
}

/** The details of the record. Of an error only the setting: its message may quote a value, and a record stays for ever. */
function detailsOf({
  before,
  after,
  changedFields,
  applied,
  restartRequired,
  source,
  error,
}: ReloadReport): JsonObject {
  const fields = { changed_fields: [...changedFields], applied: [...applied], restart_required: [...restartRequired] }
  const wrong = error === undefined ? {} : { reason: error.code, ...(error.setting && { setting: error.setting }) }
  return { before, after, ...fields, source, ...wrong }
}

function describe({ applied, restartRequired }: ReloadReport): string {
  const now = applied.length === 0 ? 'nothing to apply' : `${applied.join(', ')} applied`
  return restartRequired.length === 0 ? now : `${now}; ${restartRequired.join(', ')} after a restart`
}

function closed(): AuditError {
  return new AuditError('CLOSED', 'the trail is closed', { hint: 'Reload while it is open.' })
}

function notSealed(): AuditError {
  return new AuditError('SPOOL_FAILED', 'the spool could not take the record of the change', {
    hint: 'The policy stays as it is; audit.state says how the spool is. Reload again when it takes records.',
  })
}

function unexpected(cause: unknown): AuditError {
  return new AuditError('INVALID_OPTION', 'the configuration could not be read', {
    hint: 'Run otel-audit config check.',
    cause,
  })
}
