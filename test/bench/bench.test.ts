/** The benchmarks run, and their document is written section by section. No figure is judged here. */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { JsonLogsSerializer, ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer'
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs'
import { collectorAbsent, collectorBinary } from '../parts/collector.ts'
import { replaceSection } from './document.ts'
import { createLogRecord } from './event.ts'
import { median, medianRatio, quantile } from './figures.ts'
import { countLogRecords } from './otlp-count.ts'
import type { BenchReport } from './report.ts'

const folder = mkdtempSync(join(tmpdir(), 'otel-audit-bench-test-'))
after(() => rmSync(folder, { recursive: true }))

function runBench(name: string, ...options: readonly string[]): { report: BenchReport; document: string } {
  const out = join(folder, `${name}.md`)
  const argv = [join(import.meta.dirname, 'main.ts'), name, '--smoke', '--json', '--out', out, ...options]
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8', timeout: 240_000 })
  assert.equal(status, 0, stderr)
  return { report: JSON.parse(stdout) as BenchReport, document: readFileSync(out, 'utf8') }
}

/** `absent` says which figures a contender has not. */
function assertWellFormed(
  { report, document }: ReturnType<typeof runBench>,
  absent = (_contender: string, _figure: string): boolean => false,
): void {
  for (const [contender, figures] of Object.entries(report.figures)) {
    for (const { figure } of report.columns) {
      assert.equal(typeof figures[figure] === 'number', !absent(contender, figure), `${contender} ${figure}`)
    }
  }
  assert.ok(Object.keys(report.figures).length >= 3)
  const tables = [...document.matchAll(/(?:^\|.*\n)+/gm)].map(([table]) => table.trimEnd().split('\n'))
  const columns = [...Map.groupBy(report.columns, ({ table }) => table).values()]
  assert.equal(tables.length, columns.length)
  for (const [index, rows] of tables.entries()) {
    const measured = Object.values(report.figures).filter((figures) =>
      columns[index]?.some(({ figure }) => typeof figures[figure] === 'number'),
    )
    assert.equal(rows.length, measured.length + 2)
    assert.equal(new Set(rows.map((row) => row.split('|').length)).size, 1)
  }
  assert.ok(document.includes(report.command) && document.includes(report.machine.cpu))
  assert.equal(document.match(/; aim /g)?.length ?? 0, report.aims.length)
}

describe('a benchmark', () => {
  it('of emission runs, loses nothing, and writes its section', () =>
    assertWellFormed(runBench('emit', '--no-collector')))
  it('of delivery runs, loses nothing, and writes its section', () =>
    assertWellFormed(runBench('deliver', '--no-collector')))
  it('of draining runs, with every contender that starts at once', () =>
    assertWellFormed(runBench('drain', '--no-collector'), (contender, figure) => {
      const isAbsent = contender.startsWith('`s3`') || contender.startsWith('`clickhouse`')
      return isAbsent || (figure === 'addedDelayP99Us' && !contender.startsWith('a service'))
    }))
  it('of verification runs over every kind of copy, and says what is kept of a long trail', () =>
    assertWellFormed(runBench('verify'), (contender, figure) => {
      if (contender.startsWith('a trail')) return figure !== 'peakMegabytes'
      // A program of others: its CPU is not ours to read.
      return figure === 'peakMegabytes' || (contender.startsWith('`sha256sum`') && figure === 'cpuUs')
    }))
  it('of proofs runs, checks each, and writes its section', () =>
    assertWellFormed(
      runBench('proof'),
      (contender, figure) => contender.startsWith('from') === (figure === 'recordUs'),
    ))
  it('of PostgreSQL runs and writes a table of ways to write, one of transactions, and one of what is asked beside that', () => {
    const beside = [
      [
        /^begin, one row|^the same with (an audit event|`select 1`|400 bytes)/,
        /^transactionsP|^p[59]|^aloneUs$|^cpuUs$/,
      ],
      [/^the sequencer/, /^sealed/],
      [/^single inserts/, /^longest|^locked/],
      [/^retention by rows/, /^longest|^locked|^removed/],
      [/^retention by part/, /^longest|^lock|^removed/],
    ] as const
    assertWellFormed(runBench('postgres'), (contender, figure) => {
      const [, own] = beside.find(([name]) => name.test(contender)) ?? []
      return !(own ?? /^(perSecond|clientUs|serverUs|walBytes|tableBytes|trips)$/).test(figure)
    })
  })
  it('of queries runs every recipe, and writes its section', () => assertWellFormed(runBench('queries')))
  it('of policy runs, decides as it should, and writes its section', () => assertWellFormed(runBench('policy')))
  it('of redaction runs and writes its section', () =>
    assertWellFormed(runBench('redact'), (contender, figure) => {
      return figure === 'eventUs' && !contender.startsWith('otel-audit, preset')
    }))
  it('of the spool runs and writes a table for each load', () =>
    assertWellFormed(
      runBench('spool'),
      (contender, figure) => contender.includes('never synced') && figure.startsWith('durable'),
    ))

  it('sends to the real collector, which counts what arrived', (context) => {
    if (collectorBinary() === undefined) return context.skip(collectorAbsent)
    const { report } = runBench('deliver')
    assert.match(report.compared.join(' '), /real OpenTelemetry Collector.*received all [\d,]+ records/)
  })

  it('that does not exist is refused with the list of those that do', () => {
    const argv = [join(import.meta.dirname, 'main.ts'), 'speed']
    const { status, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' })
    assert.equal(status, 2)
    assert.match(stderr, /emit .*\n.*deliver .*\n.*drain .*\n.*verify .*\n.*proof .*\n.*spool .*\n.*policy /)
  })
})

describe('the document', () => {
  it('has only the section replaced whose benchmark ran', () => {
    const first = replaceSection(replaceSection('# Head\n', 'emit', 'one'), 'deliver', 'two')
    const edited = first.replace('# Head', '# Head\n\nWords in between.')
    const second = replaceSection(edited, 'emit', '$& new')
    assert.equal(
      second,
      edited.replace('\none\n', () => '\n$& new\n'),
    )
    assert.equal(replaceSection(second, 'deliver', 'two'), second)
  })
})

describe('the arithmetic', () => {
  it('takes medians, quantiles and ratios within each round', () => {
    assert.equal(median([3, 1, 2]), 2)
    assert.equal(median([4, 1, 2, 3]), 2.5)
    assert.ok(Number.isNaN(median([])))
    assert.equal(quantile([5, 1, 4, 2, 3], 0.5), 3)
    assert.equal(quantile([1, 2], 1), 2)
    const rounds = new Map([
      ['a', [{ us: 2 }, { us: 30 }, { us: 4 }]],
      ['b', [{ us: 1 }, { us: 10 }, { us: 1 }]],
    ])
    assert.equal(medianRatio(rounds, 'us', ['a', 'b']), 3)
  })
})

describe('the count of log records in a request', () => {
  it('is right for JSON and for protobuf, over several scopes', () => {
    const exporter = new InMemoryLogRecordExporter()
    const provider = new LoggerProvider({ processors: [new SimpleLogRecordProcessor({ exporter })] })
    for (let index = 0; index < 300; index += 1) provider.getLogger(`scope ${index % 3}`).emit(createLogRecord(index))
    const records = exporter.getFinishedLogRecords()
    const json = Buffer.from(JsonLogsSerializer.serializeRequest(records) ?? [])
    const protobuf = Buffer.from(ProtobufLogsSerializer.serializeRequest(records) ?? [])
    assert.equal(countLogRecords(json, 'application/json'), 300)
    assert.equal(countLogRecords(protobuf, 'application/x-protobuf'), 300)
    assert.equal(countLogRecords(Buffer.alloc(0), 'application/x-protobuf'), 0)
  })
})
