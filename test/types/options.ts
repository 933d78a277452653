/** The options as TypeScript has them and as the schema checks them have the same members. Read by `tsc` alone. */

import type { z } from 'zod'
import type { AuditOptions } from '../../src/audit/options.ts'
import type { optionsSchema } from '../../src/audit/schema.ts'

type Input = z.input<typeof optionsSchema>
type Section = 'spool' | 'policy' | 'redact' | 'keys' | 'metrics' | 'retention'
type Same<A, B> = [A, B] extends [B, A] ? true : false
type KeysOf<T> = keyof NonNullable<T>

export const membersAreTheSame: Same<keyof AuditOptions, keyof Input> = true
export const sectionsAreTheSame: { [S in Section]: Same<KeysOf<AuditOptions[S]>, KeysOf<Input[S]>> } = {
  spool: true,
  policy: true,
  redact: true,
  keys: true,
  metrics: true,
  retention: true,
}
