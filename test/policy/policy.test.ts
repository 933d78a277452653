import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { it } from 'node:test'
import { convertEvent } from '../../src/event/convert.ts'
import { factsOf } from '../../src/event/facts.ts'
import { compilePolicy } from '../../src/policy/policy.ts'
import { compileRedaction } from '../../src/policy/redact.ts'

const read = factsOf(convertEvent({ action: 'a', operation: 'read', outcome: 'success' }))
const correlate = () => 'c-1'

it('an event that the level keeps is kept', () => {
  assert.deepEqual(compilePolicy({ enabled: true, level: 'all' }).decide(read, correlate), {
    kept: true,
    isMetadata: false,
    sampling: undefined,
  })
  assert.deepEqual(
    compilePolicy({ enabled: true, level: 'writes_only' }).decide({ ...read, outcome: 'denied' }, correlate),
    {
      kept: true,
      isMetadata: false,
      sampling: undefined,
    },
  )
})

it('one that it does not keep is counted under the level', () => {
  const policy = compilePolicy({ enabled: true, level: 'writes_only' })
  assert.deepEqual(policy.decide(read, correlate), { kept: false, rule: 'level:writes_only' })
  assert.equal(policy.level, 'writes_only')
})

it('when disabled, everything is counted as such, before the level is asked', () => {
  const policy = compilePolicy({ enabled: false, level: 'writes_only' })
  assert.deepEqual(policy.decide(read, correlate), { kept: false, rule: 'disabled' })
  assert.deepEqual(policy.decide({ ...read, operation: 'delete' }, correlate), { kept: false, rule: 'disabled' })
})

it('an unknown operation counts as other', () => {
  const policy = compilePolicy({ enabled: true, level: 'deletes_only' })
  assert.equal(policy.decide(factsOf(convertEvent({ action: 'a', operation: 'delete' })), correlate).kept, true)
  assert.equal(policy.decide(factsOf(convertEvent({ action: 'a', operation: 'purge' })), correlate).kept, false)
})

it('its hash is that of its canonical form, and tells policies apart', () => {
  const canonical = '{"enabled":true,"level":"all","redact":[]}'
  assert.equal(
    compilePolicy({ enabled: true, level: 'all' }).hash,
    createHash('sha256').update(canonical).digest('hex'),
  )
  const hashes = [
    compilePolicy({ enabled: true, level: 'all' }),
    compilePolicy({ enabled: false, level: 'all' }),
    compilePolicy({ enabled: true, level: 'writes_only' }),
    compilePolicy({ enabled: true, level: 'all', redaction: compileRedaction() }),
    compilePolicy({ enabled: true, level: 'all', redaction: compileRedaction({ keys: ['iban'] }) }),
  ].map(({ hash }) => hash)
  assert.equal(new Set(hashes).size, hashes.length)
})

it('its hash does not depend on the order or spelling of keys', () => {
  const hashOf = (...keys: string[]) =>
    compilePolicy({ enabled: true, level: 'all', redaction: compileRedaction({ keys }) }).hash
  assert.equal(hashOf('iban', 'card-no'), hashOf('cardNo', 'IBAN'))
})
