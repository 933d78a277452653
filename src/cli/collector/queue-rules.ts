/** Rules about the queue of an exporter, its retries, and the storage behind it. */

import type { Component } from './file.ts'
import { answersEarly, ifNobodyRepeats, isZero, queueIsOn, type TrapRule, when, withoutQueue } from './rule.ts'

const retries = (one: Component): boolean => one.read('retry_on_failure.enabled') !== false

export const queueRules: readonly TrapRule[] = [
  {
    id: 'queue-in-memory',
    kind: 'exporters',
    setting: 'sending_queue.storage',
    unset: 'none: the queue, on by default, is in memory',
    why: 'A request is acknowledged when it is in the queue, and the queue dies with the collector.',
    remedy:
      'sending_queue: {enabled: false} and retry_on_failure: {enabled: false}: the spool is the queue. To buffer here, set storage to a file_storage extension with fsync: true.',
    judge: (one) => when(answersEarly(one) && one.read('sending_queue.storage') === undefined, 'loss'),
  },
  {
    id: 'queue-overflow-refuses',
    kind: 'exporters',
    setting: 'sending_queue.block_on_overflow',
    unset: 'false',
    why: 'A full queue refuses at once, and whoever does not repeat (a receiver of files, syslog, the batch processor) drops.',
    remedy: 'sending_queue.block_on_overflow: true',
    judge: (one, place) =>
      when(queueIsOn(one) && one.read('sending_queue.block_on_overflow') !== true, ifNobodyRepeats(place)),
  },
  {
    id: 'queue-counts-requests',
    kind: 'exporters',
    setting: 'sending_queue.sizer',
    unset: 'requests',
    why: 'It counts requests, and one may have 4 MiB: the disk or the memory is full before the queue is.',
    remedy: 'sending_queue.sizer: bytes, and queue_size in bytes, less than what its disk has',
    judge: (one) => when(queueIsOn(one) && one.read('sending_queue.sizer') !== 'bytes', 'risk'),
  },
  {
    id: 'retry-gives-up',
    kind: 'exporters',
    setting: 'retry_on_failure.max_elapsed_time',
    unset: '300s',
    why: 'After that long an outage the records are dropped, in a persistent queue too. Without a queue the sender hears it, but waits in vain until then.',
    remedy: 'retry_on_failure.max_elapsed_time: 0 behind a queue; without one retry_on_failure: {enabled: false}',
    judge: (one, place) => {
      const hasLimit = retries(one) && !isZero(one.read('retry_on_failure.max_elapsed_time'))
      if (withoutQueue.includes(one.type) || !hasLimit) return undefined
      return answersEarly(one) ? 'loss' : ifNobodyRepeats(place)
    },
  },
  {
    id: 'retry-off-behind-queue',
    kind: 'exporters',
    setting: 'retry_on_failure.enabled',
    unset: 'true',
    why: 'What was acknowledged when it entered the queue is dropped at the first failure of the backend.',
    remedy: 'switch the queue off too, or retry for ever: retry_on_failure: {enabled: true, max_elapsed_time: 0}',
    judge: (one) => when(answersEarly(one) && !retries(one), 'loss'),
  },
  {
    id: 'permanent-errors-dropped',
    kind: 'exporters',
    setting: 'sending_queue.enabled',
    unset: 'true',
    why: 'Every answer of the backend but 429, 502, 503 and 504 counts as permanent: a wrong token (401), 400, 404, 413 or 500 drops what the queue has acknowledged. No setting changes that.',
    remedy: 'sending_queue.enabled: false: then the sender hears it and keeps the records',
    judge: (one) => when(answersEarly(one), 'loss'),
  },
]

export const storageRules: readonly TrapRule[] = [
  {
    id: 'storage-unsynced',
    kind: 'extensions',
    types: ['file_storage'],
    setting: 'fsync',
    unset: 'false',
    why: 'A power cut takes what was acknowledged, or damages the file.',
    remedy: 'fsync: true',
    judge: (one) => when(one.read('fsync') !== true, 'loss'),
  },
  {
    id: 'storage-recreates',
    kind: 'extensions',
    types: ['file_storage'],
    setting: 'recreate',
    unset: 'false',
    why: 'When the file is damaged the collector starts with an empty one, and says so in its log only.',
    remedy: 'recreate: false: a damaged queue stops the collector, and someone looks',
    judge: (one) => when(one.read('recreate') !== undefined && one.read('recreate') !== false, 'loss'),
  },
]
