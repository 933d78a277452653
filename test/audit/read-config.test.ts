import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { type AuditConfig, compareConfigs } from '../../src/audit/config.ts'
import { effectiveSettings } from '../../src/audit/effective.ts'
import { type AuditOptions, profiles } from '../../src/audit/options.ts'
import { readAgain, readConfig, readOptionsAndEnvironment } from '../../src/audit/read-config.ts'
import { AuditError } from '../../src/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-'))
after(() => rmSync(folder, { recursive: true }))

function write(name: string, content: unknown): string {
  const file = join(folder, name)
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 })
  return file
}

function read(environment: NodeJS.ProcessEnv, options: AuditOptions = {}): AuditConfig {
  const { config, problems } = readConfig({ options, environment })
  assert.deepEqual(problems, [])
  return config ?? assert.fail()
}

function problemsOf(environment: NodeJS.ProcessEnv, options: AuditOptions = {}): string[] {
  return readConfig({ options, environment }).problems.map(({ message }) => message)
}

describe('sources', () => {
  const file = write('all.json', { service: 'file', deployment: 'file', spool: { keepMinutes: 1, blockMsMax: 1 } })

  test('code counts more than environment, environment more than file, file more than default', () => {
    const environment = {
      AUDIT_CONFIG_FILE: file,
      AUDIT_SERVICE: 'env',
      AUDIT_DEPLOYMENT: 'env',
      AUDIT_SPOOL_KEEP_MINUTES: '2',
    }
    const { service, deployment, spool } = read(environment, { service: 'code' })
    assert.deepEqual([service, deployment], ['code', 'env'])
    assert.deepEqual([spool.keepMinutes, spool.blockMsMax, spool.onFull], [2, 1, 'block'])
  })

  test('each value tells where it came from', () => {
    const environment = { AUDIT_CONFIG_FILE: file, AUDIT_TRAIL_EXCLUDE_ACTIONS: 'a', AUDIT_PROFILE: 'pci-dss' }
    const rows = effectiveSettings(readConfig({ options: { service: 'code' }, environment }))
    const sourceOf = (setting: string) => rows.find((row) => row.setting === setting)?.source
    assert.equal(sourceOf('service'), 'option')
    assert.equal(sourceOf('policy.excludeActions'), 'AUDIT_TRAIL_EXCLUDE_ACTIONS')
    assert.equal(sourceOf('spool.keepMinutes'), file)
    assert.equal(sourceOf('retention.days'), 'profile pci-dss')
    assert.equal(sourceOf('spool.onFull'), 'default')
  })

  test('a list of one source takes the place of a list of another', () => {
    const lists = write('lists.json', { policy: { excludeActions: ['a', 'b'] }, redact: { keys: ['c'] } })
    const { policy, redact } = read({ AUDIT_CONFIG_FILE: lists, AUDIT_TRAIL_EXCLUDE_ACTIONS: 'd' })
    assert.deepEqual([policy.excludeActions, redact.keys], [['d'], ['c']])
  })

  test('createAudit reads options only', () => {
    const { config } = readConfig({ options: {} })
    assert.deepEqual(config?.destinations, [])
  })

  test('the name of the service is that of OpenTelemetry where nobody says otherwise', () => {
    assert.equal(read({ AUDIT_SERVICE: 'billing' }).service, 'billing')
  })

  test('what a lower source has wrong is refused, although a higher one hides it', () => {
    const wrong = write('wrong.json', { service: 7 })
    assert.deepEqual(problemsOf({ AUDIT_CONFIG_FILE: wrong }, { service: 'code' }), [
      `service (in ${wrong}) is 7; allowed: a string that is not empty`,
    ])
  })

  test('everything wrong is listed, and the error of a start names the first and the others', () => {
    const environment = { AUDIT_TRAIL_LEVEL: 'most', AUDIT_SPOOL_ON_FULL: 'drop', AUDIT_LOG_FILE_MAX_MB: '0' }
    assert.equal(problemsOf(environment).length, 3)
    assert.throws(
      () => readOptionsAndEnvironment({}, environment),
      (thrown) => {
        assert.ok(thrown instanceof AuditError && thrown.code === 'INVALID_OPTION')
        assert.match(thrown.hint, /2 more: /)
        return true
      },
    )
  })
})

describe('the configuration file', () => {
  test('names its schema for editors', () => {
    assert.equal(read({ AUDIT_CONFIG_FILE: write('schema.json', { $schema: './x.json', service: 'a' }) }).service, 'a')
  })

  const refused: readonly (readonly [name: string, content: unknown, message: RegExp])[] = [
    ['is no JSON', '{"service": hunter2}', /^AUDIT_CONFIG_FILE names \S+, which is no JSON/],
    ['is no object', '[]', /^AUDIT_CONFIG_FILE names \S+, which holds no JSON object$/],
    [
      'has an unknown option',
      { servise: 'x' },
      /^servise \(in \S+\) is "x"; allowed: absent: there is no such option$/,
    ],
    [
      'has a secret twice',
      { policy: { sampleSecret: 'hunter2hunter2hunter2', sampleSecretFile: 'x' } },
      /are both set/,
    ],
  ]
  for (const [name, content, message] of refused) {
    test(`is refused when it ${name}`, () => {
      const [complaint = ''] = problemsOf({ AUDIT_CONFIG_FILE: write('refused.json', content) })
      assert.match(complaint, message)
      assert.ok(!complaint.includes('hunter2'))
    })
  }

  test('is refused when it is not there', () => {
    assert.match(problemsOf({ AUDIT_CONFIG_FILE: join(folder, 'none') })[0] ?? '', /which does not exist$/)
  })

  test('is watched when AUDIT_CONFIG_WATCH says so, which needs a file', () => {
    const file = write('watched.json', {})
    assert.equal(read({ AUDIT_CONFIG_FILE: file }).watchedFile, undefined)
    assert.equal(read({ AUDIT_CONFIG_FILE: file, AUDIT_CONFIG_WATCH: 'true' }).watchedFile, file)
    assert.match(problemsOf({ AUDIT_CONFIG_WATCH: 'true' })[0] ?? '', /there is no file to watch/)
  })
})

describe('secrets', () => {
  const secret = 'a-secret-of-this-deployment'

  test('of options are read from the files that they name', () => {
    const file = write('secret', `${secret}\n`)
    const { policy, redact } = read({}, { policy: { sampleSecretFile: file }, redact: { pseudonymKeyFile: file } })
    assert.deepEqual([policy.sampleSecret, redact.pseudonymKey], [secret, secret])
  })

  test('lose one line break at the end of their file and nothing else', () => {
    const { policy } = read({}, { policy: { sampleSecretFile: write('spaces', `${secret} \n\n`) } })
    assert.equal(policy.sampleSecret, `${secret} \n`)
  })

  test('of a higher source hide the file that a lower one names', () => {
    const { policy } = read({ AUDIT_POLICY_SAMPLE_SECRET_FILE: '/nowhere' }, { policy: { sampleSecret: secret } })
    assert.equal(policy.sampleSecret, secret)
  })

  test('are refused beside their file in one source', () => {
    const both = { AUDIT_POLICY_SAMPLE_SECRET: secret, AUDIT_POLICY_SAMPLE_SECRET_FILE: '/nowhere' }
    const [complaint = ''] = problemsOf(both)
    assert.match(complaint, /AUDIT_POLICY_SAMPLE_SECRET and AUDIT_POLICY_SAMPLE_SECRET_FILE are both set/)
  })

  test('stand in no row that is printed', () => {
    const environment = {
      AUDIT_POLICY_SAMPLE_SECRET: 'hunter2-hunter2-hunter2',
      AUDIT_REDACT_PSEUDONYM_KEY: 'hunter2-hunter2-hunter2',
      AUDIT_METRICS_TOKEN: 'hunter2',
      AUDIT_DESTINATIONS: JSON.stringify([
        { type: 'postgres', url: 'postgres://u:hunter2@db.example/hunter2?password=hunter2' },
        { type: 'otlp', endpoint: 'https://hunter2@otlp.example/hunter2', headers: { authorization: 'hunter2' } },
      ]),
    }
    const text = JSON.stringify(effectiveSettings(readConfig({ options: {}, environment })))
    assert.ok(!text.includes('hunter2'), text)
    assert.ok(text.includes('postgres://db.example/…'))
  })
})

describe('contradictions', () => {
  const rows: readonly (readonly [name: string, options: AuditOptions, message: RegExp])[] = [
    [
      'async off without a database',
      { async: false, destinations: [{ type: 'stdout' }] },
      /^async is false; allowed: true, because no destination is a database/,
    ],
    [
      'a reserve as large as the budget',
      { spool: { bytesMax: 2 ** 20, reserveBytes: 2 ** 20 } },
      /^spool\.reserveBytes is 1048576; allowed: less than spool\.bytesMax/,
    ],
    ['a service that cannot name the trail', { service: 'two words' }, /^deployment is "two words"; allowed: a name/],
    [
      'two destinations of one name',
      { destinations: [{ type: 'stdout' }, { type: 'stdout' }] },
      /^destinations\[1\]\.name is "stdout"; allowed: a name of its own/,
    ],
    [
      'slots that write one file',
      { spool: { instances: 'slots' }, destinations: [{ type: 'file', path: 'a' }] },
      /^destinations\[0\]\.path is "a"; allowed: a path with \{slot\}/,
    ],
    ['sampling without a secret', { policy: { sampleReads: 0.5 } }, /^policy\.sampleSecret is not set/],
    [
      'an exclusion of every action',
      { policy: { excludeActions: ['a', '*'] } },
      /^policy\.excludeActions is \["a","\*"\]; allowed: what leaves something to record/,
    ],
    [
      'a rule that drops everything',
      { policy: { rules: [{ id: 'a', effect: 'drop' }] } },
      /^policy\.rules\[0\] is .*; allowed: what leaves something/,
    ],
    [
      'a rule that drops every action',
      { policy: { rules: [{ id: 'a', effect: 'drop', when: { action: ['x', '*'] } }] } },
      /^policy\.rules\[0\]/,
    ],
    [
      'a rule that drops the only operation which the level keeps',
      { policy: { level: 'deletes_only', rules: [{ id: 'a', effect: 'drop', when: { operation: 'delete' } }] } },
      /^policy\.rules is .*; allowed: what leaves something/,
    ],
  ]
  for (const [name, options, message] of rows) {
    test(`${name} cannot be meant`, () => {
      const { problems } = readConfig({ options })
      assert.equal(problems.length, 1, JSON.stringify(problems))
      assert.match(problems[0]?.message ?? '', message)
      assert.notEqual(problems[0]?.hint, '')
    })
  }

  test('the names are those of whoever set it', () => {
    assert.match(problemsOf({ AUDIT_TRAIL_ASYNC: 'false' })[0] ?? '', /^AUDIT_TRAIL_ASYNC is false/)
    const { problems } = readConfig({ options: {}, environment: { AUDIT_TRAIL_SAMPLE_RATE: '0.5' } })
    assert.match(problems[0]?.hint ?? '', /In the environment: AUDIT_POLICY_SAMPLE_SECRET\.$/)
  })

  test('a policy under which nothing could be recorded needs policy.allowSuppressAll', () => {
    const policy = { excludeActions: ['*'], allowSuppressAll: true }
    assert.deepEqual(readConfig({ options: { policy } }).problems, [])
  })

  test('a rule that keeps something ahead of the one that drops the rest leaves something to record', () => {
    const rules = [
      { id: 'keep', effect: 'keep', when: { action: 'invoice.*' } },
      { id: 'rest', effect: 'drop' },
    ] as const
    assert.deepEqual(readConfig({ options: { policy: { rules } } }).problems, [])
  })
})

describe('reading again', () => {
  test('sees what has changed in file and environment, and tells what a reload can apply', () => {
    const file = write('again.json', { policy: { level: 'all' } })
    const environment: NodeJS.ProcessEnv = { AUDIT_CONFIG_FILE: file }
    const before = read(environment)
    write('again.json', { policy: { level: 'deletes_only' }, spool: { keepMinutes: 5 } })
    environment.AUDIT_REDACT_KEYS = 'iban'
    const again = readAgain(before)
    assert.equal(again.policy.level, 'deletes_only')
    assert.deepEqual(compareConfigs(before, again), {
      applied: ['policy.level', 'redact.keys'],
      restartRequired: ['spool.keepMinutes'],
    })
  })

  test('throws for what is wrong by then, as a start does', () => {
    const file = write('bad.json', {})
    const before = read({ AUDIT_CONFIG_FILE: file })
    write('bad.json', { policy: { level: 'most' } })
    assert.throws(() => readAgain(before), /^AuditError: policy\.level \(in \S+\) is "most"; allowed: "all", /)
  })
})

test('every profile can be met', () => {
  const good: AuditOptions = {
    profile: [...profiles],
    keys: { signingKeyFile: '/etc/otel-audit/audit.key' },
    destinations: [{ type: 'otlp' }],
  }
  const { problems, config } = readConfig({ options: good })
  assert.deepEqual(problems, [])
  assert.deepEqual([config?.policy.level, config?.retention.days], ['all', 2_192])
})
