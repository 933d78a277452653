import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { readEnvironment } from '../../src/audit/environment.ts'
import { settings } from '../../src/audit/settings.ts'
import { canonicalName, knownNames, variables } from '../../src/audit/variables.ts'
import { readDocument } from '../docs/markdown.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-'))
after(() => rmSync(folder, { recursive: true }))

/** The value of the only setting that these variables set. */
function givenBy(environment: NodeJS.ProcessEnv): unknown {
  const { options, own, problems, remarks } = readEnvironment(environment)
  assert.deepEqual({ problems, remarks }, { problems: [], remarks: [] })
  const [only, ...others] = [...options.values(), ...own.values()]
  assert.equal(others.length, 0)
  return only?.value
}

function complaintOf(environment: NodeJS.ProcessEnv): string {
  const { problems } = readEnvironment(environment)
  assert.equal(problems.length, 1)
  return problems[0]?.message ?? ''
}

describe('names', () => {
  test('every option has the name AUDIT_ and its path in upper snake case', () => {
    const names = settings.map(({ path }) => canonicalName(path))
    assert.equal(new Set(names).size, names.length)
    for (const name of [
      'AUDIT_SPOOL_BYTES_MAX',
      'AUDIT_DEPLOYMENT',
      'AUDIT_KEYS_SIGNING_KEY_FILE',
      'AUDIT_POLICY_LEVEL',
    ]) {
      assert.ok(names.includes(name), name)
    }
    for (const name of names) assert.match(name, /^AUDIT(_[A-Z]+)+$/)
  })

  test('every name that users asked for means something', () => {
    const asked = [
      ...['ENABLED', 'LEVEL', 'EXCLUDE_ACTIONS', 'EXCLUDE_RESOURCES', 'SAMPLE_RATE', 'SAMPLE_READS', 'ASYNC'],
      ...['BUFFER_ENABLED', 'BUFFER_FLUSH_INTERVAL', 'BUFFER_MAX_SIZE', 'RETENTION_DAYS', 'CLEANUP_ENABLED'],
      'CLEANUP_BATCH_SIZE',
    ].map((name) => `AUDIT_TRAIL_${name}`)
    const logged = [
      ...['ENABLED', 'DESTINATION', 'FILE_PATH', 'FILE_MAX_MB', 'FILE_MAX_BACKUPS', 'FILE_COMPRESS'],
      ...['HTTP_ENDPOINT', 'HTTP_SECRET', 'SYSLOG_ADDRESS', 'BUFFER_SIZE'],
    ].map((name) => `AUDIT_LOG_${name}`)
    const others = ['POSTGRES_URL', 'S3_BUCKET', 'CLICKHOUSE_URL', 'METRICS_TOKEN', 'METRICS_TOKEN_FILE', 'CONFIG_FILE']
    for (const name of [...asked, ...logged, ...others.map((one) => `AUDIT_${one}`)]) {
      assert.ok(
        variables.some((variable) => variable.name === name),
        name,
      )
    }
  })

  test('a name that means nothing is remarked on, with the nearest one that does', () => {
    const { problems, remarks } = readEnvironment({
      AUDIT_TRIAL_LEVEL: 'all',
      AUDIT_X: '1',
      PATH: '/bin',
      AUDITOR: 'me',
    })
    assert.deepEqual(problems, [])
    assert.deepEqual(remarks, [
      'AUDIT_TRIAL_LEVEL is set, but there is no such setting; did you mean AUDIT_TRAIL_LEVEL?',
      'AUDIT_X is set, but there is no such setting',
    ])
  })

  test('.env.example sets every name once, commented out', () => {
    const lines = readDocument('.env.example').split('\n')
    const named = lines.flatMap((line) => /^# (AUDIT_\w+)=/.exec(line)?.[1] ?? [])
    const own = variables.filter(({ isAlias }) => !isAlias).map(({ name }) => name)
    assert.deepEqual(named, own)
    for (const line of lines) assert.match(line, /^(#|$)/)
    for (const { name } of variables) assert.ok(readDocument('.env.example').includes(name), name)
  })

  test('the context that a child process inherits is no mistake', () => {
    assert.ok(knownNames.has('AUDIT_CORRELATION_ID'))
  })
})

describe('values', () => {
  test('booleans are true, 1, yes, on or false, 0, no, off, in any case', () => {
    for (const text of ['true', '1', 'yes', 'on', 'TRUE', ' On '])
      assert.equal(givenBy({ AUDIT_TRAIL_ENABLED: text }), true)
    for (const text of ['false', '0', 'no', 'off', 'False']) assert.equal(givenBy({ AUDIT_TRAIL_ENABLED: text }), false)
  })

  test('lists are separated by commas, white space around an element does not count', () => {
    assert.deepEqual(givenBy({ AUDIT_TRAIL_EXCLUDE_ACTIONS: 'health_check, metrics_read ,probe.*' }), [
      'health_check',
      'metrics_read',
      'probe.*',
    ])
  })

  test('numbers are decimal digits: no exponent, no unit, no separators', () => {
    assert.equal(givenBy({ AUDIT_TRAIL_SAMPLE_RATE: '0.25' }), 0.25)
    assert.equal(givenBy({ AUDIT_SPOOL_BYTES_MAX: ' 1048576 ' }), 1_048_576)
    for (const text of ['1e6', '1_000_000', '10GB', '0x100000', 'Infinity', 'NaN', '1,000']) {
      assert.match(complaintOf({ AUDIT_SPOOL_BYTES_MAX: text }), /allowed: a whole number, at least 262144/)
    }
  })

  test('rules are JSON, and what is wrong in them is named by its place', () => {
    assert.deepEqual(givenBy({ AUDIT_POLICY_RULES: '[{"id":"a","effect":"drop"}]' }), [{ id: 'a', effect: 'drop' }])
    const complaint = complaintOf({ AUDIT_POLICY_RULES: '[{"id":"a","effect":"dorp"}]' })
    assert.equal(complaint, 'AUDIT_POLICY_RULES[0].effect is "dorp"; allowed: "keep", "drop", "metadata"')
  })
})

describe('two names of one setting', () => {
  test('may say the same', () => {
    assert.equal(givenBy({ AUDIT_TRAIL_LEVEL: 'all', AUDIT_POLICY_LEVEL: 'all' }), 'all')
  })

  test('are refused when they differ, and both are named', () => {
    const complaint = complaintOf({ AUDIT_TRAIL_ENABLED: 'true', AUDIT_LOG_ENABLED: 'false' })
    assert.equal(
      complaint,
      'AUDIT_TRAIL_ENABLED and AUDIT_LOG_ENABLED set the same (policy.enabled) to different values',
    )
  })
})

describe('a secret from a file', () => {
  const write = (name: string, text: string, mode = 0o600) => {
    const file = join(folder, name)
    writeFileSync(file, text)
    chmodSync(file, mode)
    return file
  }

  test('is read without its last line break', () => {
    const url = 'postgres://audit:hunter2@db/audit'
    for (const end of ['', '\n', '\r\n']) {
      assert.equal(givenBy({ AUDIT_POSTGRES_URL_FILE: write('url', `${url}${end}`) }), url)
    }
  })

  test('may be readable by a group, as Kubernetes makes it', () => {
    assert.equal(givenBy({ AUDIT_CLICKHOUSE_URL_FILE: write('group', 'https://ch:8443', 0o440) }), 'https://ch:8443')
  })

  const refused: readonly (readonly [name: string, file: () => string, message: RegExp])[] = [
    ['missing', () => join(folder, 'nowhere'), /names \S+nowhere, which does not exist$/],
    ['empty', () => write('empty', '\n'), /which is empty$/],
    [
      'readable by everybody',
      () => write('open', 'hunter2', 0o644),
      /which everybody on this machine may read \(mode 0644\)$/,
    ],
    ['a directory', () => folder, /which is no file$/],
  ]
  for (const [name, file, message] of refused) {
    test(`is refused when it is ${name}`, () => {
      const complaint = complaintOf({ AUDIT_POSTGRES_URL_FILE: file() })
      assert.match(complaint, /^AUDIT_POSTGRES_URL_FILE names /)
      assert.match(complaint, message)
      assert.ok(!complaint.includes('hunter2'))
    })
  }

  test('is refused beside the secret itself', () => {
    const both = {
      AUDIT_POSTGRES_URL: 'postgres://db/audit',
      AUDIT_POSTGRES_URL_FILE: write('both', 'postgres://db/b'),
    }
    assert.equal(complaintOf(both), 'AUDIT_POSTGRES_URL and AUDIT_POSTGRES_URL_FILE are both set; allowed: one of them')
  })

  test('and its content is never shown, whatever is wrong with it', () => {
    const complaint = complaintOf({ AUDIT_POSTGRES_URL_FILE: write('wrong', 'mysql://u:hunter2@db') })
    assert.equal(complaint, 'AUDIT_POSTGRES_URL is (not shown); allowed: a URL that begins with postgres://')
  })
})
