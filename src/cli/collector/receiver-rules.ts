/** Rules about receivers, and notes: what is true of every collector and no setting mends. */

import { answersEarly, isZero, type TrapRule, when } from './rule.ts'

const fileReceivers = ['file_log', 'filelog']
const otlpExporters = ['otlp_http', 'otlphttp', 'otlp_grpc', 'otlp']
/** How long a destination of ours waits for an answer by default, in seconds. */
const senderSeconds = 10
/** A batch of ours in JSON with everything around it. */
const requestBytesLeast = 8 * 2 ** 20

export const receiverRules: readonly TrapRule[] = [
  {
    id: 'file-log-drops',
    kind: 'receivers',
    types: fileReceivers,
    setting: 'retry_on_failure.enabled',
    unset: 'false',
    why: 'Lines that the backend did not take are dropped at the first failure.',
    remedy: 'retry_on_failure: {enabled: true, max_elapsed_time: 0}',
    judge: (one) => when(one.read('retry_on_failure.enabled') !== true, 'loss'),
  },
  {
    id: 'file-log-gives-up',
    kind: 'receivers',
    types: fileReceivers,
    setting: 'retry_on_failure.max_elapsed_time',
    unset: '5m',
    why: 'After that long an outage lines are dropped.',
    remedy: 'retry_on_failure.max_elapsed_time: 0',
    judge: (one) =>
      when(
        one.read('retry_on_failure.enabled') === true && !isZero(one.read('retry_on_failure.max_elapsed_time')),
        'loss',
      ),
  },
  {
    id: 'file-log-forgets',
    kind: 'receivers',
    types: fileReceivers,
    setting: 'storage',
    unset: 'none',
    why: 'The place reached in the file is kept in memory: what is written while the collector is down may be skipped.',
    remedy: 'storage: a file_storage extension with fsync: true',
    judge: (one) => when(one.read('storage') === undefined, 'loss'),
  },
  {
    id: 'file-log-skips-beginning',
    kind: 'receivers',
    types: fileReceivers,
    setting: 'start_at',
    unset: 'end',
    why: 'What stands in a file before the collector first sees it is never read.',
    remedy: 'start_at: beginning',
    judge: (one) => when(one.read('start_at') !== 'beginning', 'loss'),
  },
  {
    id: 'file-log-misses-closed',
    kind: 'receivers',
    types: fileReceivers,
    setting: 'include',
    unset: 'none',
    why: 'No pattern matches what a file is renamed to: one that is closed while the collector is down is never read to its end.',
    remedy:
      'include the closed files too, such as audit.ndjson.[0-9][0-9][0-9][0-9][0-9][0-9], and set compress: false at the file destination',
    judge: (one) => {
      const patterns = one.read('include')
      const hasWildcard = (pattern: unknown) => /[*?[{]/.test(String(pattern).replaceAll(/\$\{[^}]*\}/g, ''))
      return when(!Array.isArray(patterns) || !patterns.some(hasWildcard), 'loss')
    },
  },
  {
    id: 'file-log-acknowledges-early',
    kind: 'receivers',
    types: fileReceivers,
    setting: '',
    unset: '',
    why: 'Lines count as read when they are in the memory of the receiver: SIGKILL loses up to a batch of them. A flag of the command line decides it, which this file cannot show.',
    remedy:
      'start the collector with --feature-gates=stanza.synchronousLogEmitter, and say so: # otel-audit-allow file-log-acknowledges-early: started with the gate',
    judge: () => 'loss',
  },
  {
    id: 'permanent-errors-dropped',
    kind: 'receivers',
    types: fileReceivers,
    setting: 'retry_on_failure',
    unset: 'off',
    why: 'Every answer of the backend but 429, 502, 503 and 504 counts as permanent: a wrong token (401), 400, 404, 413 or 500 drops lines and goes on in the file. No setting changes that.',
    remedy:
      'send from otel-audit itself (the otlp destination); else compare the file with the backend (otel-audit verify)',
    judge: () => 'loss',
  },
  {
    id: 'receiver-cannot-refuse',
    kind: 'receivers',
    types: ['syslog', 'tcp_log', 'tcplog', 'udp_log', 'udplog', 'fluent_forward', 'fluentforward'],
    setting: '',
    unset: '',
    why: 'Its protocol has no answer: what the backend refuses is dropped here, and the sender never hears of it.',
    remedy: 'receive OTLP',
    judge: () => 'loss',
  },
  {
    id: 'kafka-commits-early',
    kind: 'receivers',
    types: ['kafka'],
    setting: 'message_marking.after',
    unset: 'false',
    why: 'A message counts as consumed before the backend has it.',
    remedy: 'message_marking: {after: true, on_error: false}',
    judge: (one) =>
      when(one.read('message_marking.after') !== true || one.read('message_marking.on_error') === true, 'loss'),
  },
  {
    id: 'request-limit-below-batch',
    kind: 'receivers',
    types: ['otlp'],
    setting: 'protocols.http.max_request_body_size',
    unset: '20 MiB',
    why: 'A batch has up to 4 MiB of records, and more around them; a larger request is answered with 400, which looks like a record that cannot be taken.',
    remedy: 'leave it out, or at least 8 MiB (8388608)',
    judge: (one) => {
      const bytes = one.read('protocols.http.max_request_body_size')
      return when(
        bytes !== undefined && !(typeof bytes === 'number' && (bytes <= 0 || bytes >= requestBytesLeast)),
        'risk',
      )
    },
  },
]

export const noteRules: readonly TrapRule[] = [
  {
    id: 'partial-success-swallowed',
    kind: 'exporters',
    types: otlpExporters,
    setting: '',
    unset: '',
    why: 'When the backend takes a part of a request and says so (partial success), the collector logs a warning and answers success.',
    remedy:
      'No setting: compare what the backend has with another copy (otel-audit verify), or send to such a backend directly.',
    judge: () => 'note',
  },
  {
    id: 'order-not-kept',
    kind: 'receivers',
    types: ['otlp'],
    setting: '',
    unset: '',
    why: 'Requests are handled at the same time and overtake each other.',
    remedy: 'None needed: sort by stream and sequence at the backend; verification does.',
    judge: () => 'note',
  },
  {
    id: 'slower-than-sender',
    kind: 'exporters',
    types: [...otlpExporters, 'clickhouse', 'kafka'],
    setting: 'timeout',
    unset: 'up to 30s',
    why: `The sender waits ${senderSeconds} s by default and then sends the request again: duplicates (same ids), and it never hears the reason.`,
    remedy: 'timeout: 8s, or a longer timeoutMs at the destination',
    judge: (one) => when(!answersEarly(one) && !(secondsOf(one.read('timeout')) < senderSeconds), 'note'),
  },
  {
    id: 'waits-for-every-backend',
    kind: 'exporters',
    setting: '',
    unset: '',
    why: 'A request is a success only when each exporter of the pipeline has it: one that is down holds up the others, which get it again at each repetition.',
    remedy:
      'Where that must not be: one pipeline, one port and one destination of the spool for each backend (gateway-fanout-lanes.yaml).',
    judge: (one, { pipeline }) => {
      const waiting = pipeline.components.filter((other) => other.kind === 'exporters' && !answersEarly(other))
      return when(waiting.length > 1 && waiting[1] === one, 'note')
    },
  },
]

/** `8s`, `500ms`, `1m30s`; NaN for anything else. */
function secondsOf(duration: unknown): number {
  const units: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3_600 }
  if (typeof duration !== 'string' || !/^(?:[\d.]+(?:ms|s|m|h))+$/.test(duration)) return Number.NaN
  return [...duration.matchAll(/([\d.]+)(ms|s|m|h)/g)].reduce(
    (sum, [, n, unit = 's']) => sum + Number(n) * (units[unit] ?? 1),
    0,
  )
}
