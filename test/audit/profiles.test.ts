import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type AuditOptions, type Profile, profiles } from '../../src/audit/options.ts'
import { requirementsOf } from '../../src/audit/profiles.ts'
import { readConfig } from '../../src/audit/read-config.ts'
import { settings } from '../../src/audit/settings.ts'
import { levels } from '../../src/policy/level.ts'
import { compilePolicy } from '../../src/policy/policy.ts'

const keys = { signingKeyFile: '/etc/otel-audit/audit.key' }
const destinations = [{ type: 'otlp' }] as const
const secret = 'a-secret-of-this-deployment'
const good: AuditOptions = { keys, destinations }

/** A setting that a profile refuses, for each setting that any profile has a demand on. */
const violations: Readonly<Record<string, readonly AuditOptions[]>> = {
  'policy.enabled': [{ policy: { enabled: false } }],
  'policy.level': [{ policy: { level: 'failures_only' } }],
  'policy.excludeActions': [{ policy: { excludeActions: ['health'] } }],
  'policy.excludeResources': [{ policy: { excludeResources: ['metric'] } }],
  'policy.sampleRate': [{ policy: { sampleRate: 0.9, sampleSecret: secret } }],
  'policy.sampleReads': [{ policy: { sampleReads: 0.9, sampleSecret: secret } }],
  'policy.rules': [{ policy: { rules: [{ id: 'a', effect: 'drop', when: { action: 'a' } }] } }],
  'redact.preset': [{ redact: { preset: 'off' } }],
  'keys.signingKeyFile': [
    { keys: {} },
    { keys: { signingKeyFile: './audit-spool/keys/audit.key' } },
    { keys: { signingKeyFile: 'audit-spool/../audit-spool/audit.key' } },
  ],
  'spool.onFull': [{ spool: { onFull: 'refuse' } }],
  destinations: [{ destinations: [{ type: 'stdout' }] }],
  onInvalid: [{ onInvalid: 'suppress' }],
  'retention.days': [{ retention: { days: 30 } }],
  'retention.enabled': [{ retention: { enabled: false } }],
}

function problemsOf(options: AuditOptions): readonly { setting: string; message: string; hint: string }[] {
  return readConfig({ options }).problems
}

for (const profile of profiles) {
  describe(`profile ${profile}`, () => {
    test('starts with its own defaults, a key apart and a collector', () => {
      assert.deepEqual(problemsOf({ ...good, profile }), [])
    })

    for (const requirement of requirementsOf(profile)) {
      const { setting, control } = requirement
      test(`refuses ${setting} unless it is ${requirement.allowed}, and names ${control}`, () => {
        const wrong = violations[setting]
        assert.ok(wrong !== undefined, `no violation of ${setting} is listed`)
        const isRefused = (options: AuditOptions) => {
          return problemsOf({ ...good, ...options, profile }).some((problem) => {
            return problem.setting === setting && problem.message.includes(`by profile ${profile} (${control}: `)
          })
        }
        const isBackups = requirement.allowed.includes('deleted')
        const backups: AuditOptions = { destinations: [{ type: 'file', path: 'a', maxBackups: 2 }] }
        for (const options of isBackups ? [backups] : wrong) assert.ok(isRefused(options), JSON.stringify(options))
      })
    }

    test('has a demand on settings that exist only, each with its reason and a remedy', () => {
      for (const { setting, because, remedy, allowed } of requirementsOf(profile)) {
        assert.ok(
          settings.some(({ path }) => path === setting),
          setting,
        )
        assert.ok(because !== '' && remedy !== '' && allowed !== '')
      }
    })

    test('sets defaults that it does not refuse, and gives way to what is set', () => {
      for (const { setting, preset } of requirementsOf(profile)) {
        if (preset === undefined) continue
        const { config, given } = readConfig({ options: { ...good, profile } })
        assert.equal(config?.values.get(setting), preset)
        assert.deepEqual(given.get(setting)?.source, { kind: 'profile', profile })
      }
    })
  })
}

test('strict refuses every way to suppress an event', () => {
  const suppressing = [
    'policy.enabled',
    'policy.level',
    'policy.excludeActions',
    'policy.excludeResources',
    'policy.rules',
  ]
  for (const setting of [...suppressing, 'policy.sampleRate', 'policy.sampleReads', 'onInvalid']) {
    assert.ok(
      requirementsOf('strict').some((one) => one.setting === setting),
      setting,
    )
  }
})

test('no policy that strict accepts suppresses anything, and none that it refuses keeps everything', () => {
  const names = fc.subarray(['a', 'b.*'])
  const rate = fc.constantFrom(1, 1, 0.5, 0)
  const effects = fc.subarray(['keep', 'metadata', 'drop'] as const)
  const policies = fc.record({
    enabled: fc.boolean(),
    level: fc.constantFrom('all' as const, ...levels),
    excludeActions: names,
    excludeResources: names,
    sampleRate: rate,
    sampleReads: rate,
    rules: effects.map((chosen) => chosen.map((effect) => ({ id: effect, effect, when: { action: effect } }))),
  })
  fc.assert(
    fc.property(policies, (settings) => {
      const policy = { ...settings, sampleSecret: secret }
      const isAccepted = problemsOf({ ...good, profile: 'strict', policy }).length === 0
      assert.equal(isAccepted, !compilePolicy(policy).suppresses)
    }),
  )
})

test('strict accepts rules that keep or strip, and a spool alone', () => {
  const rules = [
    { id: 'a', effect: 'keep' },
    { id: 'b', effect: 'metadata', when: { action: 'x' } },
  ] as const
  assert.deepEqual(problemsOf({ profile: 'strict', keys, policy: { rules } }), [])
})

test('standard output beside a destination that confirms is no loss', () => {
  assert.deepEqual(
    problemsOf({ ...good, profile: 'strict', destinations: [{ type: 'stdout' }, { type: 'file', path: 'a' }] }),
    [],
  )
})

test('of several profiles each refuses, and the longest retention is the default', () => {
  const both: Profile[] = ['pci-dss', 'hipaa']
  assert.equal(readConfig({ options: { ...good, profile: both } }).config?.retention.days, 2_192)
  const controls = problemsOf({ ...good, profile: both, retention: { days: 100 } }).map(({ message }) => message)
  assert.equal(controls.length, 2)
  assert.match(controls.join(), /10\.5\.1.*164\.316/s)
})

test('a refusal names the variable, its value, the control and the remedy', () => {
  const environment = { AUDIT_PROFILE: 'strict', AUDIT_TRAIL_LEVEL: 'writes_only', AUDIT_KEYS_SIGNING_KEY_FILE: '/k' }
  const { problems } = readConfig({ options: { destinations }, environment })
  assert.deepEqual(problems, [
    {
      setting: 'AUDIT_TRAIL_LEVEL',
      message:
        'AUDIT_TRAIL_LEVEL is "writes_only"; allowed: "all", by profile strict (our own: a level below all leaves events out)',
      hint: 'Leave the level to the profile, which sets all.',
    },
  ])
})
