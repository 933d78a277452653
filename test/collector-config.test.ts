/** What ships in collector-config: accepted by the real collector, without traps, and fitting together. */

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { judgeCollector } from '../src/cli/collector/traps.ts'
import { runCli } from './cli/run.ts'
import { collectorAbsent, collectorBinary, collectorConfigDirectory, kafkaCollectorAbsent } from './parts/collector.ts'

const notConfigurations = ['builder.yaml', 'builder-kafka.yaml', 'compose.yaml']
const names = globSync('*.yaml', { cwd: collectorConfigDirectory }).filter((name) => !notConfigurations.includes(name))

/** Every variable without a default that a configuration reads, with a value that it accepts. */
const required: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'sidecar.yaml': { AUDIT_COLLECTOR_BACKEND: 'http://127.0.0.1:4319' },
  'sidecar-file.yaml': { AUDIT_COLLECTOR_FILE: 'collector.jsonl' },
  'sidecar-buffered.yaml': { AUDIT_COLLECTOR_BACKEND: 'http://127.0.0.1:4319', AUDIT_COLLECTOR_STORAGE: 'queue' },
  'sidecar-tls-bearer.yaml': { AUDIT_COLLECTOR_BACKEND: 'https://127.0.0.1:4319', AUDIT_COLLECTOR_TOKEN_FILE: 'token' },
  'gateway-tls-bearer.yaml': {
    AUDIT_COLLECTOR_BACKEND: 'http://127.0.0.1:4319',
    AUDIT_COLLECTOR_TOKEN_FILE: 'token',
    AUDIT_COLLECTOR_CERT_FILE: 'gateway.pem',
    AUDIT_COLLECTOR_KEY_FILE: 'gateway.key',
  },
  'gateway-fanout.yaml': {
    AUDIT_COLLECTOR_BACKEND: 'http://127.0.0.1:4319',
    AUDIT_COLLECTOR_BACKEND_SECOND: 'http://127.0.0.1:4320',
  },
  'gateway-fanout-lanes.yaml': {
    AUDIT_COLLECTOR_BACKEND: 'http://127.0.0.1:4319',
    AUDIT_COLLECTOR_BACKEND_SECOND: 'http://127.0.0.1:4320',
  },
  'gateway-clickhouse.yaml': { AUDIT_CLICKHOUSE_URL: 'tcp://127.0.0.1:9000' },
  'gateway-kafka.yaml': { AUDIT_KAFKA_BROKERS: '127.0.0.1:9092' },
  'agent-filelog.yaml': {
    AUDIT_COLLECTOR_FILE: 'audit.ndjson',
    AUDIT_COLLECTOR_BACKEND: 'http://127.0.0.1:4319',
    AUDIT_COLLECTOR_STORAGE: 'offsets',
  },
}

/** What `validate` lets pass without them: it opens no file and connects to nothing. */
const isCheckedLater =
  /TOKEN_FILE|CERT_FILE|KEY_FILE|KAFKA_BROKERS|COLLECTOR_STORAGE|agent-filelog.yaml AUDIT_COLLECTOR_FILE/

test('every configuration is listed here', () => {
  assert.deepEqual(names.toSorted(), Object.keys(required).toSorted())
})

for (const name of names) {
  const which = name === 'gateway-kafka.yaml' ? 'kafka' : 'plain'
  const binary = collectorBinary(which)
  const needed = { skip: binary === undefined && (which === 'kafka' ? kafkaCollectorAbsent : collectorAbsent) }
  const args = ['validate', '--config', join(collectorConfigDirectory, name)]
  const env = required[name] ?? {}
  const text = readFileSync(join(collectorConfigDirectory, name), 'utf8')

  test(`the collector accepts ${name}`, needed, () => {
    execFileSync(binary ?? '', args, { env, stdio: 'pipe' })
  })

  for (const variable of Object.keys(env).filter((one) => !isCheckedLater.test(`${name} ${one}`))) {
    test(`the collector refuses ${name} without ${variable}`, needed, () => {
      const others = Object.fromEntries(Object.entries(env).filter(([one]) => one !== variable))
      assert.notEqual(spawnSync(binary ?? '', args, { env: others }).status, 0)
    })
  }

  test(`${name} tells every variable that it reads, and which it cannot do without`, () => {
    const read = [...text.matchAll(/\$\{env:(\w+)(:-)?/g)]
    for (const [, used = '', hasDefault] of read) {
      const told = new RegExp(`^#   (?:\\w+, )?${used}\\b.*`, 'm').exec(text)?.[0]
      assert.ok(told !== undefined, used)
      assert.equal(/Required\./.test(told), hasDefault === undefined, told)
      assert.equal(used in env, hasDefault === undefined, `${used} stands in this test`)
    }
  })

  test(`${name} has no trap but those that it declares, with the reason, to be accepted`, () => {
    const { traps, idleAllowances } = judgeCollector(name, text)
    assert.deepEqual([traps, idleAllowances], [[], []])
  })
}

test('only what is no lossless copy declares an accepted trap', () => {
  const allowing = names.filter((name) => {
    const text = readFileSync(join(collectorConfigDirectory, name), 'utf8')
    return judgeCollector(name, text).allowed.length > 0
  })
  assert.deepEqual(allowing.toSorted(), ['agent-filelog.yaml', 'sidecar-buffered.yaml', 'sidecar-file.yaml'])
})

interface Mount {
  readonly name: string
  readonly mountPath: string
}

interface Container {
  readonly name: string
  readonly image: string
  readonly args?: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
  readonly volumeMounts?: readonly Mount[]
  readonly ports?: readonly { readonly name: string }[]
  readonly [probe: `${string}Probe`]: { readonly httpGet: { readonly port: string } } | undefined
}

interface PodSpec {
  readonly containers: readonly Container[]
  readonly initContainers?: readonly Container[]
  readonly volumes: readonly { readonly name: string; readonly configMap?: { readonly name: string } }[]
}

interface Workload {
  readonly kind: string
  readonly spec: {
    readonly selector: { readonly matchLabels: unknown }
    readonly template: { readonly metadata: { readonly labels: unknown }; readonly spec: PodSpec }
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[]
  }
}

const manifests = globSync('kubernetes/*.yaml', { cwd: collectorConfigDirectory }).sort()
const builderVersion = (
  parse(readFileSync(join(collectorConfigDirectory, 'builder.yaml'), 'utf8')) as { dist: { version: string } }
).dist.version

/** No cluster has run these: what can be held without one is held. */
for (const path of manifests) {
  const text = readFileSync(join(collectorConfigDirectory, path), 'utf8')
  const documents = parseAllDocuments(text, { uniqueKeys: true })
  const workloads = documents
    .map((document) => document.toJS() as Workload)
    .filter(({ kind }) => kind === 'StatefulSet' || kind === 'DaemonSet')

  test(`${path} is YAML whose workloads select their own pods`, () => {
    assert.deepEqual(
      documents.flatMap(({ errors }) => errors),
      [],
    )
    assert.ok(workloads.length > 0)
    for (const { spec } of workloads) assert.deepEqual(spec.selector.matchLabels, spec.template.metadata.labels)
  })

  for (const { spec } of workloads) {
    const { containers, initContainers = [], volumes } = spec.template.spec
    const all = [...initContainers, ...containers]
    test(`${path}: every mount has its volume, every probe its port`, () => {
      const known = [...volumes, ...(spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata)].map(
        ({ name }) => name,
      )
      for (const container of all) {
        for (const mount of container.volumeMounts ?? []) assert.ok(known.includes(mount.name), mount.name)
        const ports = (container.ports ?? []).map(({ name }) => name)
        for (const probe of [container.startupProbe, container.readinessProbe, container.livenessProbe])
          if (probe !== undefined) assert.ok(ports.includes(probe.httpGet.port))
      }
    })

    const collector = all.find(({ name }) => name === 'collector')
    test(`${path}: the collector is the one of the tests, with a configuration that it is given and all it must know`, () => {
      assert.ok(collector !== undefined)
      assert.equal(collector.image, `otel/opentelemetry-collector-contrib:${builderVersion}`)
      const file = /^--config=\/etc\/otel-audit\/(.*)$/.exec(collector.args?.[0] ?? '')?.[1] ?? ''
      const mount = collector.volumeMounts?.find(({ mountPath }) => mountPath === '/etc/otel-audit')
      const map = volumes.find(({ name }) => name === mount?.name)?.configMap?.name
      assert.ok(
        text.includes(`create configmap ${map} --from-file=${file}=collector-config/${file}`),
        'made as the head says',
      )
      const given = (collector.env ?? []).map(({ name }) => name)
      const lacking = Object.keys(required[file] ?? { 'no such file': '' }).filter((name) => !given.includes(name))
      assert.deepEqual(lacking, [])
    })
  }
}

test('kubernetes/sidecar.yaml gives the program settings that it accepts', async () => {
  const text = readFileSync(join(collectorConfigDirectory, 'kubernetes/sidecar.yaml'), 'utf8')
  const workloads = parseAllDocuments(text).map((document) => document.toJS() as Workload)
  const [program] = workloads.flatMap(({ kind, spec }) => (kind === 'StatefulSet' ? spec.template.spec.containers : []))
  const env = Object.fromEntries((program?.env ?? []).map(({ name, value = '' }) => [name, value]))
  const { exitCode, stdout, stderr } = await runCli(['config', 'check'], env)
  assert.equal(exitCode, 0, stdout + stderr)
  assert.doesNotMatch(stdout + stderr, /there is no such setting/)
})

test('compose.yaml starts configurations that are here, with all they must know, on loopback', () => {
  const text = readFileSync(join(collectorConfigDirectory, 'compose.yaml'), 'utf8')
  const { services } = parse(text) as {
    services: Record<
      string,
      { image: string; command: string[]; environment: object; volumes: string[]; ports?: string[] }
    >
  }
  for (const { image, command, environment, volumes, ports = [] } of Object.values(services)) {
    assert.equal(image, `otel/opentelemetry-collector-contrib:${builderVersion}`)
    const file = /^--config=\/etc\/otel-audit\/(.*)$/.exec(command[0] ?? '')?.[1] ?? ''
    assert.ok(volumes.includes(`./${file}:/etc/otel-audit/${file}:ro`))
    assert.deepEqual(
      Object.keys(required[file] ?? {}).filter((name) => !(name in environment)),
      [],
    )
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:/)
  }
})
