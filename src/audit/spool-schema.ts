/** What can be set of the spool: a part of `schema.ts`, which says what it is for. */

import { z } from 'zod'
import { noted } from './setting-note.ts'

const text = z.string().min(1, 'a text that is not empty')
const wholeNumber = z.int().min(0)
const count = z.int().min(1)

/** Smallest budget: some segments, each with room for the longest record. */
const bytesLeast = 256 * 1024
/** Longest wait of one `emit` that may be asked for: an event loop that stands longer is taken for dead. */
const blockMsLimit = 10_000

export const spoolSchema = z.strictObject({
  directory: noted(text.default('./audit-spool'), {
    about:
      'where records live, on a local disk that survives a restart; one process writes it, or with `slots` several',
    example: './audit-spool',
  }),
  instances: noted(z.enum(['single', 'slots']).default('single'), {
    about:
      '`slots`: each process takes a numbered directory of its own below `spool.directory` (cluster, PM2, replicas on one host), and sends on what a slot holds whose process is gone ([operations.md](operations.md#several-processes))',
    example: 'single',
  }),
  bytesMax: noted(
    z
      .int()
      .min(bytesLeast)
      .default(10 * 2 ** 30),
    {
      about: 'what all segment files together may take ([operations.md](operations.md))',
      unit: 'bytes',
      example: '10737418240',
    },
  ),
  reserveBytes: noted(wholeNumber.optional(), {
    about:
      'what control records and `emitRequired` may take beyond `bytesMax`, and what events leave free on the disk; less than `bytesMax`',
    unit: 'bytes',
    otherwise: '16777216, an eighth of `bytesMax` where that is less',
    example: '16777216',
  }),
  onFull: noted(z.enum(['block', 'refuse']).default('block'), {
    about:
      'when there is no room: `block` waits once for `blockMsMax`, `refuse` not at all; then events go to standard error until there is room',
    example: 'block',
  }),
  blockMsMax: noted(wholeNumber.max(blockMsLimit).default(100), {
    about: 'how long one `emit` may wait for room, at most 10,000',
    unit: 'milliseconds',
    example: '100',
  }),
  keepMinutes: noted(wholeNumber.default(60), {
    about: 'how long records are kept at least that every destination has confirmed; a full spool does not wait for it',
    unit: 'minutes',
    example: '60',
  }),
  unsyncedBytesMax: noted(count.default(64 * 2 ** 20), {
    about: 'records in memory that are written and not yet durable; more counts as no room',
    unit: 'bytes',
    example: '67108864',
  }),
})
