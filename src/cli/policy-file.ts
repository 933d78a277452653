/**
 * The policy in a file, for trying it: the `policy` of a configuration file, or its members alone. It is checked as at a
 * start; the environment and other settings do not count, but for the sampling secret, which seldom stands in a file.
 */

import { randomBytes } from 'node:crypto'
import { readConfigFile } from '../audit/local-files.ts'
import type { AuditOptions, PolicySettings } from '../audit/options.ts'
import { errorOf } from '../audit/problem.ts'
import { readConfig } from '../audit/read-config.ts'
import { compilePolicy, type Policy } from '../policy/policy.ts'
import { fillPolicy } from '../policy/policy-options.ts'
import { listRulings } from '../policy/rulings.ts'

/** A policy to be tried. */
export interface TriedPolicy {
  readonly policy: Policy
  /** Its exclusions and rules, as they are counted. */
  readonly rules: readonly string[]
  /** What must be said beside the result. */
  readonly notes: readonly string[]
}

/** Throws `INVALID_OPTION` for a file or a policy that a start would refuse. `setting` is what named the file. */
export function readPolicyFile(file: string, setting: string, environment: NodeJS.ProcessEnv): TriedPolicy {
  const reading = readConfigFile(file, setting)
  if ('problem' in reading) throw errorOf(reading.problem)
  const { policy, profile } = partsOf(reading.value)
  const { secret, notes } = findSecret(policy, environment)
  const { config, problems } = readConfig({ options: { profile, policy: secret ? { ...policy, ...secret } : policy } })
  // What else a profile asks of a configuration is not the matter of its policy.
  const [first] = problems.filter((problem) => problem.setting.startsWith('policy') || config === undefined)
  if (first !== undefined) throw errorOf({ ...first, message: `${file}: ${first.message}` })
  const checked = config?.policy ?? {}
  return { policy: compilePolicy(checked), rules: listRulings(fillPolicy(checked)).map(({ name }) => name), notes }
}

/** A configuration has a policy or a profile, which presets one; what has neither is a policy by itself. */
function partsOf(read: Readonly<Record<string, unknown>>): Pick<AuditOptions, 'policy' | 'profile'> {
  const { policy, profile }: AuditOptions = read
  return policy === undefined && profile === undefined ? { policy: read } : { policy, profile }
}

/** The secret, where the policy needs one and does not name it. Nothing is checked yet: the policy may be anything. */
function findSecret(
  policy: PolicySettings | undefined,
  { AUDIT_POLICY_SAMPLE_SECRET: text, AUDIT_POLICY_SAMPLE_SECRET_FILE: file }: NodeJS.ProcessEnv,
): { readonly secret?: PolicySettings; readonly notes: readonly string[] } {
  const { sampleRate = 1, sampleReads = 1, sampleSecret, sampleSecretFile }: PolicySettings = Object(policy)
  const isNeeded = sampleRate < 1 || sampleReads < 1
  if (!isNeeded || sampleSecret !== undefined || sampleSecretFile !== undefined) return { notes: [] }
  if (text !== undefined || file !== undefined) {
    return { secret: { sampleSecret: text, sampleSecretFile: file }, notes: [] }
  }
  const note = 'no sampling secret was given, so one was made up: the share that is kept is right, the choice is not'
  return { secret: { sampleSecret: randomBytes(16).toString('hex') }, notes: [note] }
}
