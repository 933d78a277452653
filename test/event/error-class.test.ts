import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { classifyError, classifyStatus, errorClassRows } from '../../src/event/error-class.ts'
import { errorClasses } from '../../src/event/event.ts'
import { hostileValue } from './arbitraries.ts'

test('every status of an error has a class, and no other status has', () => {
  for (let status = 100; status < 400; status += 1) assert.equal(classifyStatus(status), undefined)
  for (let status = 400; status < 600; status += 1) assert.ok(classifyStatus(status), `${status}`)
  assert.deepEqual([401, 404, 408, 409, 422, 429, 499, 500, 504].map(classifyStatus), [
    'auth_failure',
    'not_found',
    'timeout',
    'conflict',
    'validation',
    'rate_limit',
    'cancelled',
    'server_error',
    'timeout',
  ])
})

test('a status goes before a code, a code before a name, and a cause comes last', () => {
  const cause = Object.assign(new Error('c'), { code: 'ECONNRESET' })
  const cases: readonly (readonly [thrown: unknown, found: string])[] = [
    [{ status: 429, code: 'ECONNRESET' }, 'rate_limit'],
    [{ statusCode: 503 }, 'server_error'],
    [{ status: 200, code: 'EAI_AGAIN' }, 'network_error'],
    [{ code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'network_error'],
    [new DOMException('too long', 'TimeoutError'), 'timeout'],
    [new DOMException('stopped', 'AbortError'), 'cancelled'],
    [new TypeError('fetch failed', { cause }), 'network_error'],
    [new TypeError('x is not a function'), 'unknown'],
    ['timeout', 'unknown'],
    [undefined, 'unknown'],
  ]
  for (const [thrown, found] of cases) assert.equal(classifyError(thrown), found)
})

test('a chain of causes that leads to itself ends', () => {
  const error = new Error('e')
  error.cause = error
  assert.equal(classifyError(error), 'unknown')
})

test('what anything is classified as is a class, whatever it does when it is read', () => {
  fc.assert(fc.property(hostileValue, (make) => assert.ok(errorClasses.includes(classifyError(make())))))
})

test('every class but unknown has a row', () => {
  const rows = new Set(errorClassRows.map((row) => row.class))
  assert.deepEqual(
    errorClasses.filter((one) => !rows.has(one)),
    ['unknown'],
  )
})
