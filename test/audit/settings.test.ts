/**
 * Bad input, for every setting and every name it has: empty, of the wrong type, out of range. The rows are made from the
 * table of variables, so that a new setting has its rows; what has no wrong value must be listed here.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEnvironment } from '../../src/audit/environment.ts'
import type { AuditOptions } from '../../src/audit/options.ts'
import type { Problem } from '../../src/audit/problem.ts'
import { readConfig } from '../../src/audit/read-config.ts'
import { jsonSchemaOf, nest, type Setting, settings } from '../../src/audit/settings.ts'
import { type Variable, variables } from '../../src/audit/variables.ts'

/** Settings that any text fits: paths, names, secrets without a rule. */
const anyText = [
  'service',
  'spool.directory',
  'policy.sampleSecretFile',
  'redact.pseudonymKeyFile',
  'keys.signingKey',
  'keys.signingKeyFile',
  'keys.rotationsFile',
  'anchors.directory',
  'retention.archive',
  'metrics.token',
  'metrics.tokenFile',
  'workerUrl',
  'AUDIT_CONFIG_FILE',
  'AUDIT_LOG_FILE_PATH',
  'AUDIT_LOG_SYSLOG_ADDRESS',
  'AUDIT_LOG_HTTP_SECRET',
  'AUDIT_LOG_HTTP_SECRET_FILE',
  'AUDIT_S3_BUCKET',
]

/** A text that is none of the setting's form. */
function wrongText({ form, path }: Setting): string | undefined {
  switch (form) {
    case 'whole number':
      return '1.5'
    case 'number':
      return 'many'
    case 'boolean':
      return 'maybe'
    case 'list':
      return 'all,,none'
    case 'json':
      return '{"a":'
    case 'text':
      return anyText.includes(path) ? undefined : 'a + b'
  }
}

/** Values of the right form outside of the range. */
function outOfRange(setting: Setting): number[] {
  const { minimum, maximum = Number.MAX_SAFE_INTEGER } = jsonSchemaOf(setting.schema)
  const most = maximum === Number.MAX_SAFE_INTEGER ? [] : [maximum + 1]
  return minimum === undefined ? most : [minimum - 1, ...most]
}

function assertRefused(variable: Variable, text: string): void {
  const { problems } = readEnvironment({ [variable.name]: text })
  assert.equal(problems.length, 1, `${variable.name}=${text}`)
  const [{ setting, message, hint } = assert.fail()] = problems
  assert.ok(setting.startsWith(variable.name), setting)
  assert.match(message, /^AUDIT_\w+\S* is .*; allowed: .+/)
  assert.ok(hint.includes(variable.name), hint)
  const isSecret = variable.setting.note.isSecret === true
  if (text !== '' && isSecret) assert.ok(!message.includes(text), message)
  if (text !== '' && !isSecret && variable.setting.form !== 'list')
    assert.ok(message.includes(JSON.stringify(text)), message)
}

test('every variable that is set and empty is refused with its name, what is allowed and what to do', () => {
  for (const variable of variables) for (const text of ['', '  ']) assertRefused(variable, text)
})

test('every variable with a value of the wrong type is refused with its name, the value and what is allowed', () => {
  for (const variable of variables) {
    const text = wrongText(variable.setting)
    if (text !== undefined) assertRefused(variable, text)
  }
})

test('every number out of its range is refused', () => {
  const numbers = variables.filter(({ setting }) => /number/.test(setting.form))
  for (const variable of numbers) {
    const values = outOfRange(variable.setting)
    assert.ok(values.length > 0, `${variable.name} has no range`)
    for (const value of values) assertRefused(variable, String(value))
  }
})

test('the example that the documents give for a variable is accepted', () => {
  for (const { name, setting } of variables) {
    const { problems, remarks } = readEnvironment({ [name]: setting.note.example })
    assert.deepEqual({ name, problems, remarks }, { name, problems: [], remarks: [] })
  }
})

test('every option of the wrong type is refused in code and in the file alike', () => {
  for (const setting of settings) {
    for (const value of [Symbol('wrong'), null, () => {}]) {
      const { problems } = readConfig({ options: nest([[setting.path, value]]) as AuditOptions })
      const [problem] = problems
      assert.equal(problem?.setting, setting.path)
      assertWhole(problem ?? assert.fail())
    }
    for (const value of outOfRange(setting)) {
      const [problem] = readConfig({ options: nest([[setting.path, value]]) as AuditOptions }).problems
      assert.ok(problem?.message.startsWith(`${setting.path} is ${value}; allowed: `), problem?.message)
      assertWhole(problem ?? assert.fail())
    }
  }
})

test('an option that does not exist is refused at every depth', () => {
  const unknown: readonly (readonly [object, string])[] = [
    [{ servise: 'x' }, 'servise'],
    [{ spool: { byteMax: 1 } }, 'spool.byteMax'],
    [{ destinations: [{ type: 'stdout', colour: 'red' }] }, 'destinations[0].colour'],
    [{ policy: { rules: [{ id: 'a', effect: 'drop', if: {} }] } }, 'policy.rules[0].if'],
    [{ policy: { rules: [{ id: 'a', effect: 'drop', when: { actoin: 'x' } }] } }, 'policy.rules[0].when.actoin'],
  ]
  for (const [options, setting] of unknown) {
    const [problem] = readConfig({ options }).problems
    assert.equal(problem?.setting, setting)
    assert.match(problem?.message ?? '', /there is no such option/)
  }
})

test('an option that does not exist is answered with the nearest one that does', () => {
  const hintOf = (options: object) => readConfig({ options }).problems[0]?.hint
  assert.match(hintOf({ spool: { byteMax: 1 } }) ?? '', /^Did you mean spool\.bytesMax\? /)
  assert.match(hintOf({ quux: 1 }) ?? '', /^Leave it out; /)
})

test('an option given as undefined has its default', () => {
  const absent = nest(settings.map(({ path }) => [path, undefined])) as AuditOptions
  assert.deepEqual(readConfig({ options: absent }).config?.values, readConfig({ options: {} }).config?.values)
})

test('a setting that holds a secret is marked as one', () => {
  const marked = variables.filter(({ setting }) => setting.note.isSecret === true).map(({ setting }) => setting.path)
  const named = variables
    .filter(({ name }) => /SECRET$|TOKEN$|PSEUDONYM_KEY$|_URL$/.test(name))
    .map(({ setting }) => setting.path)
  const isSecret = (path: string) => path !== 'workerUrl'
  assert.deepEqual(
    named.filter(isSecret).filter((path) => !marked.includes(path)),
    [],
  )
})

function assertWhole({ message, hint }: Problem): void {
  assert.match(message, / is .*; allowed: ./s)
  assert.notEqual(hint, '')
}
