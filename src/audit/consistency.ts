/**
 * What settings demand of each other: each alone is allowed, together they cannot be meant. Also asks the rooms that
 * compile policy and redaction, because only they can tell whether a rule is one.
 */

import { join, resolve } from 'node:path'
import type { DestinationOptions } from '../destination/destination.ts'
import { wrongVariable } from '../destination/otlp-variables.ts'
import { isSharedFile, slotMark } from '../destination/slot-path.ts'
import { AuditError } from '../errors.ts'
import { suppressesEverything } from '../policy/check.ts'
import { compilePolicy } from '../policy/policy.ts'
import { compileRedaction } from '../policy/redact.ts'
import type { PolicyRule } from '../policy/rules.ts'
import type { AuditConfig } from './config.ts'
import { type Problem, problemOf } from './problem.ts'

/** Turns a path of options into the word of whoever set it. */
export type NameOf = (path: string) => string

/** What is wrong with settings that are each allowed. */
export function contradictionsOf(config: AuditConfig, nameOf: NameOf): Problem[] {
  return [
    ...checkDeployment(config, nameOf),
    ...checkReserve(config, nameOf),
    ...checkNames(config.destinations, nameOf),
    ...checkPaths(config, nameOf),
    ...checkVariables(config),
    ...checkAsync(config, nameOf),
    ...checkSigner(config, nameOf),
    ...checkAnchors(config, nameOf),
    ...checkSuppressAll(config, nameOf),
    ...attempt(nameOf, () => compilePolicy({ ...config.policy, redaction: compileRedaction(config.redact) })),
  ]
}

function checkDeployment({ deployment }: AuditConfig, nameOf: NameOf): Problem[] {
  if (/^[^\s+]+$/.test(deployment)) return []
  const allowed = 'a name without white space and without + (it defaults to service)'
  return [problemOf({ setting: nameOf('deployment'), value: deployment, allowed })]
}

function checkReserve({ spool }: AuditConfig, nameOf: NameOf): Problem[] {
  if (spool.reserveBytes < spool.bytesMax) return []
  const allowed = `less than ${nameOf('spool.bytesMax')}, which is ${spool.bytesMax}`
  return [problemOf({ setting: nameOf('spool.reserveBytes'), value: spool.reserveBytes, allowed })]
}

function checkNames(destinations: readonly DestinationOptions[], nameOf: NameOf): Problem[] {
  const names = destinations.map((one) => one.name ?? one.type)
  return names.flatMap((name, index) => {
    if (names.indexOf(name) === index) return []
    const allowed = 'a name of its own: two destinations share this one'
    return [problemOf({ setting: nameOf(`destinations[${index}].name`), value: name, allowed })]
  })
}

/** One destination of one process writes a file: two of them never the same, and with slots each process its own. */
function checkPaths({ spool, destinations }: AuditConfig, nameOf: NameOf): Problem[] {
  const paths = destinations.map((one) => (one.type === 'file' ? resolve(one.path) : undefined))
  return destinations.flatMap((one, index) => {
    if (one.type !== 'file') return []
    const wrong = { setting: nameOf(`destinations[${index}].path`), value: one.path }
    if (paths.indexOf(resolve(one.path)) !== index)
      return [problemOf({ ...wrong, allowed: 'a path of its own: two destinations share this one' })]
    if (spool.instances !== 'slots' || !isSharedFile(one)) return []
    const allowed = `a path with ${slotMark} in it, which becomes the number of the slot: one process writes a file`
    return [problemOf({ ...wrong, allowed })]
  })
}

/** Where a sidecar delivers, the variables of this process are not those that count. */
function checkVariables({ destinations, isExternal, sources }: AuditConfig): Problem[] {
  if (isExternal) return []
  const { environment = process.env } = sources
  return destinations.flatMap((one) => {
    const wrong = one.type === 'otlp' ? wrongVariable(one, (name) => environment[name]) : undefined
    return wrong === undefined ? [] : [problemOf(wrong)]
  })
}

function checkAsync({ isAsync, destinations }: AuditConfig, nameOf: NameOf): Problem[] {
  if (isAsync || destinations.some(({ type }) => type === 'postgres')) return []
  const hint = 'Configure a destination of type postgres, or leave async on: emitRequired then waits for the disk.'
  const allowed = 'true, because no destination is a database to wait for'
  return [problemOf({ setting: nameOf('async'), value: false, allowed, hint })]
}

function checkSigner({ signer, signingKey, signingKeyFile, spool }: AuditConfig, nameOf: NameOf): Problem[] {
  const isFileGiven = signingKeyFile !== join(spool.directory, 'audit.key')
  if (signer === undefined || (signingKey === undefined && !isFileGiven)) return []
  const another = nameOf(signingKey === undefined ? 'keys.signingKeyFile' : 'keys.signingKey')
  const allowed = `nothing beside it: ${another} names another signer`
  return [problemOf({ setting: nameOf('keys.signer'), value: signer.module, allowed })]
}

function checkAnchors({ anchors }: AuditConfig, nameOf: NameOf): Problem[] {
  if (!anchors.git || anchors.directory !== undefined) return []
  const hint = `Name a folder of a Git repository in ${nameOf('anchors.directory')}.`
  const allowed = `false, because ${nameOf('anchors.directory')} names no folder to commit`
  return [problemOf({ setting: nameOf('anchors.git'), value: true, allowed, hint })]
}

function checkSuppressAll({ policy }: AuditConfig, nameOf: NameOf): Problem[] {
  if (policy.allowSuppressAll || !suppressesEverything(policy)) return []
  const hint = `To switch audit off, say so: ${nameOf('policy.enabled')} false. If it is meant, set ${nameOf('policy.allowSuppressAll')} true.`
  const refuse = (setting: string, value: unknown) => [
    problemOf({ setting: nameOf(setting), value, allowed: 'what leaves something to record', hint }),
  ]
  if (policy.excludeActions.includes('*')) return refuse('policy.excludeActions', policy.excludeActions)
  const dropAll = policy.rules.findIndex((rule) => rule.effect === 'drop' && matchesEverything(rule))
  return dropAll === -1
    ? refuse('policy.rules', policy.rules)
    : refuse(`policy.rules[${dropAll}]`, policy.rules[dropAll])
}

function matchesEverything({ when = {} }: PolicyRule): boolean {
  const { action, ...others } = when
  if (Object.values(others).some((condition) => condition !== undefined)) return false
  return action === undefined || [action].flat().includes('*')
}

/** What a compiler refuses. */
function attempt(nameOf: NameOf, compile: () => unknown): Problem[] {
  try {
    compile()
    return []
  } catch (thrown) {
    if (!(thrown instanceof AuditError)) throw thrown
    const { setting = 'policy', hint } = thrown
    const name = nameOf(setting)
    const message = thrown.message.startsWith(setting)
      ? `${name}${thrown.message.slice(setting.length)}`
      : thrown.message
    return [{ setting: name, message, hint }]
  }
}
