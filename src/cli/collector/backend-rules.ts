/** Rules about processors, and about what certain backends take for a success. */

import type { Component } from './file.ts'
import { isZero, type TrapEffect, type TrapRule, when } from './rule.ts'

export const processorRules: readonly TrapRule[] = [
  {
    id: 'batch-acknowledges-early',
    kind: 'processors',
    types: ['batch'],
    setting: '',
    unset: '',
    why: 'It answers success as soon as the records are in its memory: a crash, and any error behind it, loses what was acknowledged.',
    remedy: 'Take it out of the pipeline. The forwarder of otel-audit sends batches already (batchRecordsMax).',
    judge: () => 'loss',
  },
  {
    id: 'processor-drops',
    kind: 'processors',
    types: ['filter', 'probabilistic_sampler', 'tail_sampling', 'logdedup', 'log_dedup'],
    setting: '',
    unset: '',
    why: 'It answers success for records that it leaves out: the chain has a hole there, and verification says MISSING.',
    remedy: 'Filter and sample in the policy of otel-audit, before records are sealed; here, on a pipeline for a copy.',
    judge: () => 'loss',
  },
  {
    id: 'processor-edits-records',
    kind: 'processors',
    types: ['transform', 'redaction', 'attributes'],
    setting: '',
    unset: '',
    why: 'It may change the body, which is the sealed record, or the audit.* attributes that are checked against it: what arrives cannot be verified.',
    remedy: 'Redact in otel-audit, before records are sealed; change a copy, on a pipeline of its own.',
    judge: editsRecords,
  },
]

/** `redaction` looks into bodies; the others only where they are told to. */
function editsRecords(one: Component): TrapEffect | undefined {
  if (one.type === 'redaction') return 'loss'
  const told = JSON.stringify(one.type === 'transform' ? one.read('log_statements') : one.read('actions')) ?? ''
  return when(one.type === 'transform' ? /\bbody\b|audit\./.test(told) : /"audit\./.test(told), 'loss')
}

export const backendRules: readonly TrapRule[] = [
  {
    id: 'file-answers-early',
    kind: 'exporters',
    types: ['file'],
    setting: 'flush_interval',
    unset: '1s',
    why: 'It answers success before a byte is written: SIGKILL leaves an empty file, a power cut more.',
    remedy:
      'Do not count its file as a copy. The file destination of otel-audit writes and syncs one before it confirms.',
    judge: () => 'loss',
  },
  {
    id: 'exporter-keeps-nothing',
    kind: 'exporters',
    types: ['debug', 'nop'],
    setting: '',
    unset: '',
    why: 'It answers success and keeps nothing, and the pipeline has no exporter that does.',
    remedy: 'add the exporter of your backend',
    judge: (_, { pipeline }) =>
      when(
        !pipeline.components.some(
          ({ kind, type }) => kind === 'connectors' || (kind === 'exporters' && type !== 'debug' && type !== 'nop'),
        ),
        'loss',
      ),
  },
  {
    id: 'kafka-acks',
    kind: 'exporters',
    types: ['kafka'],
    setting: 'producer.required_acks',
    unset: '1',
    why: 'The leader alone confirms: when it dies before the others have copied, what it has acknowledged is gone.',
    remedy: 'producer.required_acks: all, on a topic with min.insync.replicas of 2 or more',
    judge: (one) => when(!['all', -1].includes(one.read('producer.required_acks') as string | number), 'loss'),
  },
  {
    id: 'clickhouse-answers-early',
    kind: 'exporters',
    types: ['clickhouse'],
    setting: 'connection_params.wait_for_async_insert',
    unset: '1',
    why: 'ClickHouse confirms an insert that is only in its memory.',
    remedy: 'connection_params: {wait_for_async_insert: "1"}, or async_insert: false',
    judge: (one) =>
      when(
        /^(0|false)$/.test(String(one.read('connection_params.wait_for_async_insert'))) ||
          /wait_for_async_insert=(0|false)/.test(String(one.read('endpoint'))),
        'loss',
      ),
  },
  {
    id: 'clickhouse-merges-rows',
    kind: 'exporters',
    types: ['clickhouse'],
    setting: 'table_engine.name',
    unset: 'MergeTree',
    why: 'The sorting key of the exporter is service and time: an engine that merges rows of one key takes different records for one.',
    remedy: 'table_engine.name: MergeTree (or ReplicatedMergeTree)',
    judge: (one) =>
      when(/Replacing|Collapsing|Summing|Aggregating/.test(String(one.read('table_engine.name'))), 'loss'),
  },
  {
    id: 'clickhouse-expires',
    kind: 'exporters',
    types: ['clickhouse'],
    setting: 'ttl',
    unset: '0',
    why: 'Rows vanish by age, and nothing sealed says that they were meant to: verification says MISSING.',
    remedy: 'ttl: 0',
    judge: (one) => when(one.read('ttl') !== undefined && !isZero(one.read('ttl')), 'loss'),
  },
  {
    id: 'routing-drops',
    kind: 'connectors',
    types: ['routing'],
    setting: 'default_pipelines',
    unset: 'none',
    why: 'What no rule matches is dropped, with success.',
    remedy: 'name default_pipelines',
    judge: (one) => {
      const pipelines = one.read('default_pipelines')
      return when(!Array.isArray(pipelines) || pipelines.length === 0, 'loss')
    },
  },
]
