/**
 * What is said about a setting beside its zod schema: the text for documents, its unit, whether it is a secret. Owns the
 * registry that joins the two; `settings.ts` reads it.
 */

import { z } from 'zod'

/** About one setting. */
export interface SettingNote {
  /** What it does, in Markdown; begins in lower case, as a table cell does. */
  readonly about: string
  readonly unit?: 'bytes' | 'milliseconds' | 'minutes' | 'days' | 'rows' | undefined
  /** The default in words, where the schema holds none. */
  readonly otherwise?: string | undefined
  /** A value that could be meant, as it is written in the environment. */
  readonly example: string
  /** Never printed; also read from the file that `NAME_FILE` names. */
  readonly isSecret?: true
  /** Cannot be written in the environment or a file. */
  readonly isCodeOnly?: true
  /** `audit.reload()` applies it; everything else needs a restart. */
  readonly isReloaded?: true
}

const notes = z.registry<SettingNote>()

/** Joins a note to the schema of a setting. */
export function noted<Schema extends z.ZodType>(schema: Schema, note: SettingNote): Schema {
  notes.add(schema, note)
  return schema
}

export function noteOf(schema: z.ZodType): SettingNote | undefined {
  return notes.get(schema)
}
