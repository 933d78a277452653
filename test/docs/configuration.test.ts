/** docs/configuration.md beyond its tables, which are made (generated.test.ts): destinations, examples, error codes. */

import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { readConfig } from '../../src/audit/read-config.ts'
import { batchBytesMax, batchRecordsMax } from '../../src/limits.ts'
import { fencesOf, quotedIn, readDocument, tableOf } from './markdown.ts'

const document = readDocument('docs/configuration.md')
const destinations = document.slice(document.indexOf('## Destinations'))

it('every option that all destinations take is documented, and no other', () => {
  const common = tableOf(destinations, 'option').map(([name = '']) => name)
  const declared = membersOf(readDocument('src/destination/options.ts'), 'CommonOptions').map((name) => `\`${name}\``)
  assert.deepEqual(common.toSorted(), ['`type`', ...declared].toSorted())
})

it('the documented defaults of destinations are those of the code', () => {
  const defaultOf = (option: string): string => {
    const row = tableOf(destinations, 'option').find(([name = '']) => quotedIn(name).includes(option))
    return quotedIn(row?.[1] ?? '')[0] ?? ''
  }
  assert.equal(defaultOf('batchRecordsMax'), String(batchRecordsMax))
  assert.equal(defaultOf('batchBytesMax'), String(batchBytesMax))
  const [, flushIntervalMs] = /flushIntervalMsDefault = (\d+)/.exec(readDocument('src/forward/forwarder.ts')) ?? []
  assert.equal(defaultOf('flushIntervalMs'), flushIntervalMs)
})

it('the file that it shows is a configuration', () => {
  const [example] = fencesOf(document).filter(({ language }) => language === 'json')
  const file = join(mkdtempSync(join(tmpdir(), 'otel-audit-')), 'config.json')
  writeFileSync(file, example?.text ?? '')
  const { problems, config } = readConfig({ options: {}, environment: {}, file })
  assert.deepEqual(problems, [])
  assert.equal(config?.service, 'billing')
})

it('every error code is explained', () => {
  const declared = [...readDocument('src/errors.ts').matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map(([, code]) => code)
  const documented = tableOf(document, 'code', 'meaning').map(([code = '']) => quotedIn(code)[0])
  assert.deepEqual(documented, declared)
})

/** Names of the members of an interface. */
function membersOf(source: string, name: string): string[] {
  const [, body = ''] = new RegExp(`interface ${name}\\b[^{]*{\\n(.*?)^}`, 'ms').exec(source) ?? []
  return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, member]) => member ?? '')
}
