/**
 * Profiles: each sets defaults and refuses settings, nothing more, and names for each what asks for it. A profile does not
 * make anybody compliant: it keeps a configuration from contradicting a standard (docs/compliance.md, whose table is
 * made from this one). `strict` is ours: nothing may be lost or thinned out.
 */

import type { AuditConfig } from './config.ts'
import type { Layer } from './layers.ts'
import type { Profile } from './options.ts'
import { type Problem, problemOf } from './problem.ts'
import {
  confirmed,
  type Demand,
  everyOperation,
  hidesSecrets,
  isOn,
  keepsBackups,
  keptFor,
  keyApart,
  leavesTheHost,
  noDrops,
  noExcludedActions,
  noExcludedResources,
  prunes,
  readsMayBeLeftOut,
  recordsInvalid,
  unsampled,
  unsampledReads,
  waitsForRoom,
} from './profile-demands.ts'

/** Something that a profile asks of one setting, and what asks for it. */
export interface Requirement extends Demand {
  readonly profile: Profile
  /** `PCI DSS v4.0.1, 10.2.1`. */
  readonly control: string
  /** Why, in words. */
  readonly because: string
}

const sixYears = 2_192

type Row = readonly [demand: Demand, control: string, because: string]

const rows: Readonly<Record<Profile, readonly Row[]>> = {
  strict: [
    [isOn, 'our own', 'what is not recorded is lost'],
    [everyOperation, 'our own', 'a level below all leaves events out'],
    [noExcludedActions, 'our own', 'an excluded event is not recorded'],
    [noExcludedResources, 'our own', 'an excluded event is not recorded'],
    [unsampled, 'our own', 'what is sampled away is not recorded'],
    [unsampledReads, 'our own', 'what is sampled away is not recorded'],
    [noDrops, 'our own', 'a dropped event is not recorded'],
    [recordsInvalid, 'our own', 'whoever can make an event wrong could keep it out of the trail'],
    [hidesSecrets, 'our own', 'a secret in a record cannot be taken out again without breaking the chain'],
    [keyApart, 'our own', 'whoever can change the spool could sign what he changed'],
    [waitsForRoom, 'our own', 'an event that does not wait for room leaves the chain for standard error'],
    [confirmed, 'our own', 'the spool gives back what was only printed or sent, and nobody confirmed it'],
    [keepsBackups, 'our own', 'a deleted file is lost'],
  ],
  soc2: [
    [isOn, 'SOC 2 (TSC 2017), CC7.2', 'system operation is monitored for anomalies'],
    [
      readsMayBeLeftOut,
      'SOC 2 (TSC 2017), CC7.2 and CC7.3',
      'security events are detected and evaluated; below writes_only whole kinds of change are missing',
    ],
    [hidesSecrets, 'SOC 2 (TSC 2017), CC6.1', 'credentials are protected information; a trail is read by many'],
    [
      keyApart,
      'SOC 2 (TSC 2017), CC7.3',
      'an evaluation of events needs a trail that whoever caused them could not rewrite',
    ],
  ],
  iso27001: [
    [
      isOn,
      'ISO/IEC 27001:2022, A.8.15',
      'logs of activities, exceptions, faults and other relevant events are produced',
    ],
    [
      readsMayBeLeftOut,
      'ISO/IEC 27001:2022, A.8.15 and A.8.16',
      'activities are logged and monitored for anomalous behaviour',
    ],
    [
      keyApart,
      'ISO/IEC 27001:2022, A.8.15',
      'logs are protected, also against those who have privileges on the machine',
    ],
    [
      leavesTheHost,
      'ISO/IEC 27001:2022, A.8.15',
      'logs are stored and protected; a copy that the logging machine cannot change serves both',
    ],
    [hidesSecrets, 'ISO/IEC 27001:2022, A.8.11', 'data are masked as the rules of the organization say'],
  ],
  hipaa: [
    [isOn, 'HIPAA, 45 CFR 164.312(b)', 'activity in systems that contain or use ePHI is recorded'],
    [everyOperation, 'HIPAA, 45 CFR 164.312(b)', 'looking at a record of a patient is activity'],
    [unsampled, 'HIPAA, 45 CFR 164.312(b)', 'activity is recorded, not a share of it'],
    [unsampledReads, 'HIPAA, 45 CFR 164.312(b)', 'activity is recorded, not a share of it'],
    [keyApart, 'HIPAA, 45 CFR 164.312(c)(1)', 'integrity: improper alteration is prevented or found'],
    [hidesSecrets, 'HIPAA, 45 CFR 164.502(b)', 'minimum necessary: a trail says who did what, not what was in it'],
    [
      keptFor(sixYears),
      'HIPAA, 45 CFR 164.316(b)(2)(i)',
      'required documentation is kept for six years; whether a trail is part of it is for your counsel, and most keep it as long',
    ],
  ],
  'pci-dss': [
    [isOn, 'PCI DSS v4.0.1, 10.2.1', 'audit logs are enabled and active'],
    [
      everyOperation,
      'PCI DSS v4.0.1, 10.2.1.1 and 10.2.1.3',
      'individual access to cardholder data and access to audit logs are recorded, reads included',
    ],
    [unsampled, 'PCI DSS v4.0.1, 10.2.1', 'the events of 10.2.1.1 to 10.2.1.7 are all recorded'],
    [unsampledReads, 'PCI DSS v4.0.1, 10.2.1.1', 'all individual access to cardholder data is recorded'],
    [
      hidesSecrets,
      'PCI DSS v4.0.1, 3.3.1 and 3.5.1',
      'sensitive authentication data is not stored, and the PAN is unreadable wherever it is stored, logs included',
    ],
    [
      keyApart,
      'PCI DSS v4.0.1, 10.3.2 and 10.3.4',
      'logs are protected from modification, and a change of existing data is found',
    ],
    [
      leavesTheHost,
      'PCI DSS v4.0.1, 10.3.3',
      'logs are promptly backed up to a central server or to media that are difficult to modify',
    ],
    [keptFor(365), 'PCI DSS v4.0.1, 10.5.1', 'audit logs are kept for twelve months, the last three at hand'],
  ],
  gdpr: [
    [isOn, 'GDPR, Art. 32(1)', 'security of processing includes knowing who did what'],
    [hidesSecrets, 'GDPR, Art. 5(1)(c) and 25', 'data minimisation, by default'],
    [prunes, 'GDPR, Art. 5(1)(e)', 'storage limitation: personal data are not kept longer than needed'],
    [keyApart, 'GDPR, Art. 5(1)(f) and 32(1)(b)', 'integrity of what is stored'],
  ],
}

/** What a profile asks for, in order. */
export function requirementsOf(profile: Profile): Requirement[] {
  return rows[profile].map(([demand, control, because]) => ({ ...demand, profile, control, because }))
}

/** The defaults of profiles, by path; of two numbers the larger one. */
export function presetsOf(profiles: readonly Profile[]): Layer {
  const layer = new Map<string, { value: unknown; source: { kind: 'profile'; profile: Profile } }>()
  for (const { setting, preset, profile } of profiles.flatMap(requirementsOf)) {
    const before = layer.get(setting)?.value
    const isLarger = typeof before === 'number' && typeof preset === 'number' && preset > before
    if (preset !== undefined && (before === undefined || isLarger)) {
      layer.set(setting, { value: preset, source: { kind: 'profile', profile } })
    }
  }
  return layer
}

/** What the profiles refuse of a configuration. `nameOf` turns a setting into its writer's word. */
export function refusalsOf(config: AuditConfig, nameOf: (path: string) => string): Problem[] {
  return config.profiles
    .flatMap(requirementsOf)
    .filter((requirement) => requirement.refuses(config))
    .map(({ profile, control, setting, allowed, because, remedy }) => {
      const value = setting === 'destinations' ? typesOf(config) : (config.values.get(setting) ?? null)
      const rule = `${allowed}, by profile ${profile} (${control}: ${because})`
      return problemOf({ setting: nameOf(setting), value, allowed: rule, hint: remedy, isSecret: false })
    })
}

function typesOf({ destinations }: AuditConfig): string[] {
  return destinations.map(({ type }) => type)
}
