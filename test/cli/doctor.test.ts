import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parse, stringify } from 'yaml'
import type { TrapEffect } from '../../src/cli/collector/rule.ts'
import { type CollectorReport, judgeCollector, trapRules } from '../../src/cli/collector/traps.ts'
import { collectorConfigDirectory } from '../parts/collector.ts'
import { runCli } from './run.ts'

const passThrough = readFileSync(join(collectorConfigDirectory, 'sidecar.yaml'), 'utf8')
const agent = readFileSync(join(collectorConfigDirectory, 'agent-filelog.yaml'), 'utf8').replaceAll(
  '# otel-audit-allow',
  '#',
)
const buffered = readFileSync(join(collectorConfigDirectory, 'sidecar-buffered.yaml'), 'utf8').replaceAll(
  '# otel-audit-allow',
  '#',
)

interface Members {
  [member: string]: Members
}

/** A configuration with one thing changed in it. */
function changed(text: string, change: (file: Members) => void): string {
  const file = parse(text) as Members
  change(file)
  return stringify(file)
}

/** Sets a member by its path; `undefined` takes it out. */
function set(file: Members, path: string, value: unknown): void {
  const keys = path.split(' ')
  const last = keys.pop() ?? ''
  let inside = file
  for (const key of keys) inside = inside[key] ??= {}
  if (value === undefined) delete inside[last]
  else (inside as Record<string, unknown>)[last] = value
}

const queue = (text: string) => (path: string, value?: unknown) =>
  changed(text, (file) => set(file, `exporters otlp_http ${path}`, value))
const inQueue = queue(buffered)

/** An exporter, processor or receiver of another type in the place of the pass-through one. */
function withComponent(kind: 'exporters' | 'processors' | 'receivers', id: string, settings: unknown): string {
  return changed(passThrough, (file) => {
    set(file, `${kind} ${id}`, settings ?? {})
    set(file, `service pipelines logs ${kind}`, [id])
  })
}

const off = { sending_queue: { enabled: false }, retry_on_failure: { enabled: false } }

interface Planted {
  readonly id: string
  readonly effect: TrapEffect
  readonly text: string
  readonly component: string
  readonly what?: string
}

const planted: readonly Planted[] = [
  {
    id: 'batch-acknowledges-early',
    effect: 'loss',
    text: withComponent('processors', 'batch', null),
    component: 'processors.batch',
  },
  {
    id: 'batch-acknowledges-early',
    effect: 'loss',
    text: withComponent('processors', 'batch/small', { timeout: '1s' }),
    component: 'processors.batch/small',
  },
  {
    id: 'processor-drops',
    effect: 'loss',
    text: withComponent('processors', 'filter/noise', {}),
    component: 'processors.filter/noise',
  },
  {
    id: 'processor-drops',
    effect: 'loss',
    text: withComponent('processors', 'probabilistic_sampler', {}),
    component: 'processors.probabilistic_sampler',
  },
  {
    id: 'processor-edits-records',
    effect: 'loss',
    text: withComponent('processors', 'transform', { log_statements: ['set(log.body, "x")'] }),
    component: 'processors.transform',
  },
  {
    id: 'processor-edits-records',
    effect: 'loss',
    text: withComponent('processors', 'redaction', {}),
    component: 'processors.redaction',
  },
  {
    id: 'processor-edits-records',
    effect: 'loss',
    text: withComponent('processors', 'attributes', { actions: [{ key: 'audit.actor.id', action: 'hash' }] }),
    component: 'processors.attributes',
  },
  { id: 'queue-in-memory', effect: 'loss', text: inQueue('sending_queue storage'), component: 'exporters.otlp_http' },
  {
    id: 'queue-in-memory',
    effect: 'loss',
    text: queue(passThrough)('sending_queue'),
    component: 'exporters.otlp_http',
    what: 'by default',
  },
  {
    id: 'queue-overflow-refuses',
    effect: 'risk',
    text: inQueue('sending_queue block_on_overflow', false),
    component: 'exporters.otlp_http',
  },
  {
    id: 'queue-overflow-refuses',
    effect: 'risk',
    text: inQueue('sending_queue block_on_overflow'),
    component: 'exporters.otlp_http',
    what: 'by default',
  },
  {
    id: 'queue-counts-requests',
    effect: 'risk',
    text: inQueue('sending_queue sizer', 'requests'),
    component: 'exporters.otlp_http',
  },
  {
    id: 'retry-gives-up',
    effect: 'loss',
    text: inQueue('retry_on_failure max_elapsed_time', '300s'),
    component: 'exporters.otlp_http',
  },
  {
    id: 'retry-gives-up',
    effect: 'loss',
    text: inQueue('retry_on_failure max_elapsed_time'),
    component: 'exporters.otlp_http',
    what: 'by default',
  },
  {
    id: 'retry-gives-up',
    effect: 'risk',
    text: queue(passThrough)('retry_on_failure enabled', true),
    component: 'exporters.otlp_http',
    what: 'without a queue',
  },
  {
    id: 'retry-off-behind-queue',
    effect: 'loss',
    text: inQueue('retry_on_failure enabled', false),
    component: 'exporters.otlp_http',
  },
  { id: 'permanent-errors-dropped', effect: 'loss', text: buffered, component: 'exporters.otlp_http' },
  { id: 'permanent-errors-dropped', effect: 'loss', text: agent, component: 'receivers.file_log' },
  {
    id: 'storage-unsynced',
    effect: 'loss',
    text: changed(buffered, (file) => set(file, 'extensions file_storage fsync', undefined)),
    component: 'extensions.file_storage',
  },
  {
    id: 'storage-recreates',
    effect: 'loss',
    text: changed(buffered, (file) => set(file, 'extensions file_storage recreate', true)),
    component: 'extensions.file_storage',
  },
  {
    id: 'storage-unsynced',
    effect: 'loss',
    text: changed(agent, (file) => set(file, 'extensions file_storage fsync', false)),
    component: 'extensions.file_storage',
    what: 'of an agent',
  },
  {
    id: 'file-answers-early',
    effect: 'loss',
    text: withComponent('exporters', 'file', { path: 'x' }),
    component: 'exporters.file',
  },
  {
    id: 'exporter-keeps-nothing',
    effect: 'loss',
    text: withComponent('exporters', 'debug', null),
    component: 'exporters.debug',
  },
  {
    id: 'kafka-acks',
    effect: 'loss',
    text: withComponent('exporters', 'kafka', off),
    component: 'exporters.kafka',
    what: 'by default',
  },
  {
    id: 'kafka-acks',
    effect: 'loss',
    text: withComponent('exporters', 'kafka', { ...off, producer: { required_acks: 0 } }),
    component: 'exporters.kafka',
  },
  {
    id: 'clickhouse-answers-early',
    effect: 'loss',
    text: withComponent('exporters', 'clickhouse', { ...off, connection_params: { wait_for_async_insert: '0' } }),
    component: 'exporters.clickhouse',
  },
  {
    id: 'clickhouse-answers-early',
    effect: 'loss',
    text: withComponent('exporters', 'clickhouse', { ...off, endpoint: 'tcp://h:9000?wait_for_async_insert=0' }),
    component: 'exporters.clickhouse',
    what: 'in the endpoint',
  },
  {
    id: 'clickhouse-merges-rows',
    effect: 'loss',
    text: withComponent('exporters', 'clickhouse', { ...off, table_engine: { name: 'ReplacingMergeTree' } }),
    component: 'exporters.clickhouse',
  },
  {
    id: 'clickhouse-expires',
    effect: 'loss',
    text: withComponent('exporters', 'clickhouse', { ...off, ttl: '72h' }),
    component: 'exporters.clickhouse',
  },
  {
    id: 'file-log-drops',
    effect: 'loss',
    text: changed(agent, (file) => set(file, 'receivers file_log retry_on_failure', undefined)),
    component: 'receivers.file_log',
  },
  {
    id: 'file-log-gives-up',
    effect: 'loss',
    text: changed(agent, (file) => set(file, 'receivers file_log retry_on_failure max_elapsed_time', undefined)),
    component: 'receivers.file_log',
  },
  {
    id: 'file-log-forgets',
    effect: 'loss',
    text: changed(agent, (file) => set(file, 'receivers file_log storage', undefined)),
    component: 'receivers.file_log',
  },
  {
    id: 'file-log-skips-beginning',
    effect: 'loss',
    text: changed(agent, (file) => set(file, 'receivers file_log start_at', 'end')),
    component: 'receivers.file_log',
  },
  {
    id: 'file-log-misses-closed',
    effect: 'loss',
    text: changed(agent, (file) => set(file, 'receivers file_log include', [`\${env:AUDIT_COLLECTOR_FILE}`])),
    component: 'receivers.file_log',
  },
  { id: 'file-log-acknowledges-early', effect: 'loss', text: agent, component: 'receivers.file_log' },
  {
    id: 'receiver-cannot-refuse',
    effect: 'loss',
    text: withComponent('receivers', 'syslog', {}),
    component: 'receivers.syslog',
  },
  {
    id: 'kafka-commits-early',
    effect: 'loss',
    text: withComponent('receivers', 'kafka', {}),
    component: 'receivers.kafka',
  },
  {
    id: 'request-limit-below-batch',
    effect: 'risk',
    text: changed(passThrough, (file) => set(file, 'receivers otlp protocols http max_request_body_size', 1_048_576)),
    component: 'receivers.otlp',
  },
  { id: 'partial-success-swallowed', effect: 'note', text: passThrough, component: 'exporters.otlp_http' },
  { id: 'order-not-kept', effect: 'note', text: passThrough, component: 'receivers.otlp' },
  {
    id: 'slower-than-sender',
    effect: 'note',
    text: queue(passThrough)('timeout', '30s'),
    component: 'exporters.otlp_http',
  },
  {
    id: 'waits-for-every-backend',
    effect: 'note',
    text: readFileSync(join(collectorConfigDirectory, 'gateway-fanout.yaml'), 'utf8'),
    component: 'exporters.otlp_http/second',
  },
  {
    id: 'routing-drops',
    effect: 'loss',
    text: changed(passThrough, (file) => {
      set(file, 'connectors routing', { table: [] })
      set(file, 'service pipelines logs exporters', ['routing'])
      set(file, 'service pipelines logs/behind', { receivers: ['routing'], exporters: ['otlp_http'] })
    }),
    component: 'connectors.routing',
  },
]

for (const { id, effect, text, component, what } of planted) {
  test(`a planted ${id} in ${component} is named as ${effect}${what === undefined ? '' : `, ${what}`}`, () => {
    const { traps, notes, exitCode } = judgeCollector('planted.yaml', text)
    const found = [...traps, ...notes].filter((trap) => trap.id === id)
    assert.deepEqual(
      found.map((trap) => [trap.component, trap.effect]),
      [[component, effect]],
    )
    const trap = found[0]
    assert.ok(trap !== undefined && trap.why.length > 20 && trap.remedy.length > 5)
    assert.ok(trap.setting === '' || trap.found !== undefined || trap.unset !== undefined, 'the value is told')
    if (effect !== 'note') assert.equal(exitCode, 1)
  })
}

test('every rule has a planted trap', () => {
  const without = trapRules.map(({ id }) => id).filter((id) => !planted.some((one) => one.id === id))
  assert.deepEqual(without, [])
})

test('a pass-through sidecar has no trap, whichever way it switches queue and retries off', () => {
  assert.deepEqual(judgeCollector('f', passThrough).traps, [])
  const waiting = changed(passThrough, (file) => {
    set(file, 'exporters otlp_http sending_queue', { wait_for_result: true, sizer: 'bytes', block_on_overflow: true })
  })
  assert.deepEqual(judgeCollector('f', waiting).traps, [], 'a queue that answers when the backend has answered')
})

test('behind a receiver that does not repeat, a full queue is a loss', () => {
  const text = changed(inQueue('sending_queue block_on_overflow', false), (file) => {
    set(file, 'receivers syslog', {})
    set(file, 'service pipelines logs receivers', ['otlp', 'syslog'])
  })
  const trap = judgeCollector('f', text).traps.find(({ id }) => id === 'queue-overflow-refuses')
  assert.equal(trap?.effect, 'loss')
})

test('a trap is told with its line, also when the setting itself is absent', () => {
  const lines = passThrough.split('\n')
  const at = lines.findIndex((line) => line.includes('sending_queue:'))
  const on = [...lines.slice(0, at + 1), '      enabled: true', ...lines.slice(at + 2)].join('\n')
  const trap = judgeCollector('f', on).traps.find(({ id }) => id === 'permanent-errors-dropped')
  assert.equal(trap?.line, at + 2)
  const storage = judgeCollector('f', on).traps.find(({ id }) => id === 'queue-in-memory')
  assert.equal(storage?.line, at + 1, 'of the queue')
})

test('a variable stands for what the environment says, else for its default, else for itself', () => {
  const text = passThrough.replace('enabled: false', `enabled: \${env:QUEUE:-false}`)
  const ids = (env: Record<string, string>) => judgeCollector('f', text, { env }).traps.map(({ id }) => id)
  assert.deepEqual(ids({}), [])
  assert.ok(ids({ QUEUE: 'true' }).includes('queue-in-memory'))
  const open = passThrough.replace('enabled: false', `enabled: \${env:QUEUE}`)
  assert.ok(judgeCollector('f', open).traps.length > 0, 'nothing is known of it, so it is no promise')
})

test('anchors and merge keys count', () => {
  const text = `
pass: &pass
  sending_queue: { enabled: false }
  retry_on_failure: { enabled: false }
receivers: { otlp: { protocols: { http: } } }
exporters:
  otlp_http: { <<: *pass, endpoint: "http://b", timeout: 8s }
service: { pipelines: { logs: { receivers: [otlp], exporters: [otlp_http] } } }
`
  assert.deepEqual(judgeCollector('f', text).traps, [])
})

test('what is not in a pipeline of logs is not judged', () => {
  const text = changed(passThrough, (file) => {
    set(file, 'processors batch', {})
    set(file, 'service pipelines traces', { receivers: ['otlp'], processors: ['batch'], exporters: ['otlp_http'] })
  })
  assert.deepEqual(judgeCollector('f', text).traps, [])
})

test('an allowance needs the trap, the component when it names one, and a reason', () => {
  const text = withComponent('processors', 'batch', null)
  const judge = (line: string) => judgeCollector('f', `${line}\n${text}`)
  const allowed = judge('# otel-audit-allow batch-acknowledges-early: a copy for the dashboard')
  assert.deepEqual([allowed.exitCode, allowed.traps.length], [0, 0])
  assert.deepEqual(
    allowed.allowed.map(({ id, reason }) => [id, reason]),
    [['batch-acknowledges-early', 'a copy for the dashboard']],
  )
  assert.equal(judge('# otel-audit-allow batch-acknowledges-early processors.batch: a copy').exitCode, 0)
  for (const idle of [
    '# otel-audit-allow batch-acknowledges-early processors.batch/other: a copy',
    '# otel-audit-allow batch-acknowledges-early',
    '# otel-audit-allow batch-acknowledges-early:',
    '# otel-audit-allow file-answers-early: a copy',
  ]) {
    const report = judge(idle)
    assert.deepEqual([report.exitCode, report.idleAllowances], [1, [1]], idle)
  }
})

function write(t: TestContext, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'otel-audit-doctor-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'collector.yaml')
  writeFileSync(path, text)
  return path
}

test('the command names trap, place, value, why and remedy, and ends with 1', async (t) => {
  const path = write(t, inQueue('sending_queue storage'))
  const { exitCode, stdout } = await runCli(['doctor', '--collector', path])
  assert.equal(exitCode, 1)
  assert.match(stdout, /^.*collector\.yaml: 2 traps, 2 notes$/m)
  assert.match(
    stdout,
    /loss {2}queue-in-memory {2}.*collector\.yaml:\d+\n {4}exporters\.otlp_http\.sending_queue\.storage: not set \(none.*\n {4}A request is.*\n {4}remedy: /,
  )
})

test('the command prints one JSON object, and ends with 0 when every trap is allowed', async (t) => {
  const path = write(t, inQueue('sending_queue storage'))
  const allow = ['--allow', 'queue-in-memory', '--allow', 'permanent-errors-dropped']
  const { exitCode, stdout } = await runCli(['doctor', '--collector', path, '--json', ...allow])
  const report = JSON.parse(stdout) as CollectorReport
  assert.deepEqual([exitCode, report.exitCode, report.traps, report.allowed.length], [0, 0, [], 2])
  assert.deepEqual(report.pipelines, ['logs'])
})

const unreadable = [
  ['a file that is not there', undefined, /ENOENT/],
  ['no YAML', 'receivers: [', /it is no YAML/],
  ['no map', '- a', /no map of receivers/],
  ['no pipelines', 'receivers: {}', /service\.pipelines is missing/],
  ['no pipeline of logs', 'service: {pipelines: {traces: {}}}', /no pipeline carries logs/],
  ['a pipeline without exporter', 'service: {pipelines: {logs: {receivers: []}}}', /pipeline logs has no exporter/],
  ['an exporter that is not defined', 'service: {pipelines: {logs: {exporters: [x]}}}', /names exporters x, which/],
] as const

for (const [what, text, message] of unreadable) {
  test(`the command ends with 2 and a hint for ${what}`, async (t) => {
    const path = text === undefined ? 'nowhere.yaml' : write(t, text)
    const { exitCode, stdout, stderr } = await runCli(['doctor', '--collector', path])
    assert.deepEqual([exitCode, stdout], [2, ''])
    assert.match(stderr, message)
    assert.match(stderr, /hint: /)
  })
}

test('the command wants a file, and knows the traps that it is told to allow', async () => {
  const without = await runCli(['doctor'])
  assert.equal(without.exitCode, 2)
  assert.match(without.stderr, /--collector is missing/)
  const mistyped = await runCli(['doctor', '--collector', 'x', '--allow', 'queue-in-memroy'])
  assert.match(mistyped.stderr, /no such trap\n {2}hint: did you mean: --allow queue-in-memory/)
})
