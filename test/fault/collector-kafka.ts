/**
 * Row 18, Kafka: the gateway writes to a real broker with acks from all. Gateway and broker are killed under load; a dump
 * of the topic, as any consumer reads it, has every record and verifies.
 */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { runCli } from '../cli/run.ts'
import { startKafka } from '../parts/kafka.ts'
import { CollectorHost } from './collector-host.ts'
import { checkTrail, finish, otlpTo } from './collector-load.ts'
import type { FaultTest } from './fault.ts'
import { Subject } from './subject.ts'
import { parseLines, type TrailRecord } from './trail.ts'

/** A topic as lines of OTLP JSON. */
function recordsIn(lines: string): TrailRecord[] {
  interface Request {
    resourceLogs: { scopeLogs: { logRecords: { body: { stringValue: string } }[] }[] }[]
  }
  const requests = lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Request)
  const logs = requests.flatMap(({ resourceLogs }) => resourceLogs.flatMap(({ scopeLogs }) => scopeLogs))
  return parseLines(logs.flatMap(({ logRecords }) => logRecords.map(({ body }) => `${body.stringValue}\n`)).join(''))
}

const collectorKafka: FaultTest = {
  name: 'collector-kafka',
  row: '18',
  promise:
    'A gateway that writes to Kafka, gateway and broker killed under load: the topic has every record, and a dump of it verifies.',
  needs: ['linux', 'collector-kafka', 'kafka'],
  limitSeconds: { short: 240, long: 600 },
  async run(lab, size) {
    const rounds = size === 'short' ? 2 : 10
    const kafka = await startKafka(lab.path('kafka'))
    lab.onDispose(() => kafka.kill())
    kafka.createTopic('audit')
    const env = { AUDIT_KAFKA_BROKERS: kafka.broker }
    const gateway = await CollectorHost.start(lab, { config: 'gateway-kafka.yaml', which: 'kafka', env })
    const otlp = { ...otlpTo(gateway.address), timeoutMs: 5_000 }
    const audit = { spool: { directory: lab.path('spool') }, destinations: [otlp] }
    const subject = new Subject(lab, { run: 'load', burst: 5, paceMs: 10, audit })
    const untilWritten = (more: number) => {
      const wanted = subject.written.length + more
      return subject.until(({ written }) => written.length >= wanted)
    }
    // One after the other, under load: nobody tells when a request is on its way, so the moments vary.
    for (let round = 0; round < rounds; round += 1) {
      await untilWritten(150 + 37 * round)
      const victim = round % 2 === 0 ? kafka : gateway
      await victim.kill()
      await untilWritten(100)
      await victim.start()
    }
    const records = await finish(lab, subject, audit)
    const dump = kafka.readTopic('audit')
    const repeated = checkTrail(recordsIn(dump), records)
    const copy = lab.path('topic.jsonl')
    writeFileSync(copy, dump)
    const { exitCode, stdout } = await runCli(['verify', copy, '--allow-unanchored', '--json'])
    assert.equal(exitCode, 0, stdout.slice(0, 1_000))
    return {
      injected: { 'kills of the broker': Math.ceil(rounds / 2), 'kills of the gateway': gateway.kills },
      survived: { 'records delivered': records.length, 'records delivered twice': repeated },
    }
  },
}

export const collectorKafkaTests: readonly FaultTest[] = [collectorKafka]
