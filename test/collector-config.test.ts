import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { collectorAbsent, collectorBinary, collectorConfigDirectory } from './parts/collector.ts'

const binary = collectorBinary()
const needed = { skip: binary === undefined && collectorAbsent }

const configurations = [
  { name: 'sidecar.yaml', variable: 'AUDIT_COLLECTOR_BACKEND', value: 'http://127.0.0.1:4319' },
  { name: 'sidecar-file.yaml', variable: 'AUDIT_COLLECTOR_FILE', value: 'collector.jsonl' },
]

for (const { name, variable, value } of configurations) {
  const args = ['validate', '--config', join(collectorConfigDirectory, name)]

  test(`the collector accepts ${name}`, needed, () => {
    execFileSync(binary ?? '', args, { env: { [variable]: value }, stdio: 'pipe' })
  })

  test(`the collector refuses ${name} without ${variable}`, needed, () => {
    assert.notEqual(spawnSync(binary ?? '', args, { env: {} }).status, 0)
  })

  test(`${name} tells every variable that it reads`, () => {
    const text = readFileSync(join(collectorConfigDirectory, name), 'utf8')
    const read = [...text.matchAll(/\$\{env:(\w+)/g)].map((match) => match[1])
    for (const used of read) assert.match(text, new RegExp(`^#   ${used} `, 'm'))
  })
}
