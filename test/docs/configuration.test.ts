/** docs/configuration.md against the code: every option and no other, defaults that are accepted, every error code. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { readOptions } from '../../src/audit/read-config.ts'
import { AuditError, type AuditOptions } from '../../src/index.ts'
import { batchBytesMax, batchRecordsMax } from '../../src/limits.ts'
import { fencesOf, quotedIn, readDocument, tableOf } from './markdown.ts'

const document = readDocument('docs/configuration.md')
const options = tableOf(document, 'option', 'default', 'meaning').flatMap(([names = '']) => quotedIn(names))

it('every option that the type has is documented, and no other', () => {
  const declared = membersOf(readDocument('src/audit/read-config.ts'), 'AuditOptions')
  assert.deepEqual(options.toSorted(), declared.toSorted())
})

it('every option that is documented is known', () => {
  for (const option of options) {
    const nested = option.split('.').reduceRight<unknown>((value, name) => ({ [name]: value }), Symbol('wrong'))
    assert.throws(
      () => readOptions(nested as AuditOptions),
      (thrown) => thrown instanceof AuditError && !thrown.message.includes('there is no such option'),
      option,
    )
  }
})

it('every option that all destinations take is documented, and no other', () => {
  const common = tableOf(document.slice(document.indexOf('## Destinations')), 'option').map(([name = '']) => name)
  const declared = membersOf(readDocument('src/destination/options.ts'), 'CommonOptions').map((name) => `\`${name}\``)
  assert.deepEqual(common.toSorted(), ['`type`', ...declared].toSorted())
})

it('the documented defaults are those of the code', () => {
  const defaultOf = (option: string): string => {
    const row = [...tableOf(document, 'option', 'default', 'meaning'), ...tableOf(destinations(), 'option')]
    return quotedIn(row.find(([name = '']) => quotedIn(name).includes(option))?.[1] ?? '')[0] ?? ''
  }
  const config = readOptions({ service: 'billing' })
  for (const [member, value] of Object.entries(config.spool)) assert.equal(defaultOf(`spool.${member}`), String(value))
  assert.equal(defaultOf('policy.enabled'), String(config.policy.enabled))
  assert.equal(defaultOf('policy.level'), config.policy.level)
  assert.equal(defaultOf('redact.preset'), config.redact.preset)
  assert.equal(defaultOf('closeTimeoutMs'), String(config.closeTimeoutMs))
  assert.equal(defaultOf('batchRecordsMax'), String(batchRecordsMax))
  assert.equal(defaultOf('batchBytesMax'), String(batchBytesMax))
  const [, flushIntervalMs] = /flushIntervalMsDefault = (\d+)/.exec(readDocument('src/forward/forwarder.ts')) ?? []
  assert.equal(defaultOf('flushIntervalMs'), flushIntervalMs)
})

it('every error code is explained', () => {
  const declared = [...readDocument('src/errors.ts').matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map(([, code]) => code)
  const documented = tableOf(document, 'code', 'meaning').map(([code = '']) => quotedIn(code)[0])
  assert.deepEqual(documented, declared)
  assert.equal(fencesOf(document).length, 0)
})

function destinations(): string {
  return document.slice(document.indexOf('## Destinations'))
}

/** Dotted names of the optional and required members of an interface, one level of nesting deep. */
function membersOf(source: string, name: string): string[] {
  const [, body = ''] = new RegExp(`interface ${name}\\b[^{]*{\\n(.*?)^}`, 'ms').exec(source) ?? []
  const members: string[] = []
  let holder = ''
  for (const line of body.split('\n')) {
    const [, indent = '', member = ''] = /^( +)readonly (\w+)\??:/.exec(line) ?? []
    if (member === '') continue
    const isHolder = indent.length === 2 && /:\s*$/.test(line)
    if (indent.length === 2) holder = isHolder ? `${member}.` : ''
    if (!isHolder) members.push(`${holder}${member}`)
  }
  return members
}
