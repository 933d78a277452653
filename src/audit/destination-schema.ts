/**
 * What each destination's options may be. Owns the zod schema alone: the types and what the options mean stand in
 * `destination/destination.ts`, the form of the errors in `config.ts`.
 */

import { z } from 'zod'

const text = z.string().min(1)
const count = z.int().positive()

const common = {
  name: text.optional(),
  flushIntervalMs: z.int().min(0).optional(),
  batchRecordsMax: count.optional(),
  batchBytesMax: count.optional(),
}

const otlp = z.strictObject({
  ...common,
  type: z.literal('otlp'),
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  protocol: z.enum(['http/protobuf', 'http/json']).optional(),
  headers: z.record(z.string(), z.string()).optional(),
  compression: z.enum(['gzip', 'none']).optional(),
  timeoutMs: count.optional(),
})

const postgres = z.strictObject({
  ...common,
  type: z.literal('postgres'),
  url: z.url({ protocol: /^postgres(ql)?$/ }),
})

const file = z.strictObject({ ...common, type: z.literal('file'), path: text })

const stdout = z.strictObject({ ...common, type: z.literal('stdout') })

/** One destination, by its `type`. */
export const destinationSchema = z.discriminatedUnion('type', [otlp, postgres, file, stdout])
