/**
 * The form of the rules that policy and redaction are written in. Whether they can be meant (a `*` in the middle, a
 * pattern that could take for ever) is judged by the room that compiles them.
 */

import { z } from 'zod'
import { actorTypes, operations, outcomes } from '../event/event.ts'
import { redactionModes } from '../policy/redaction/options.ts'
import { effects } from '../policy/rules.ts'

const text = z.string().min(1, 'a string that is not empty')
const ruleId = z
  .string()
  .regex(/^[\w][\w.:-]{0,63}$/, 'letters, digits and . _ : - (at most 64), beginning with a letter or digit')

function oneOrMore<Schema extends z.ZodType>(schema: Schema) {
  return z.union([schema, z.array(schema).min(1)]).optional()
}

const condition = z.strictObject({
  action: oneOrMore(text),
  operation: oneOrMore(z.enum(operations)),
  actor: oneOrMore(text),
  actorType: oneOrMore(z.enum(actorTypes)),
  tenant: oneOrMore(text),
  target: oneOrMore(text),
  targetId: oneOrMore(text),
  outcome: oneOrMore(z.enum(outcomes)),
})

export const policyRuleSchema = z.strictObject({
  id: ruleId,
  effect: z.enum(effects),
  when: condition.optional(),
})

export const redactModeSchema = z.enum(redactionModes)

export const redactPointerSchema = z.union([
  z.string().regex(/^\//, 'a JSON pointer, which begins with /'),
  z.strictObject({ pointer: z.string().regex(/^\//), mode: redactModeSchema.optional() }),
])

export const personalPointerSchema = z.union([
  z.string().regex(/^\//, 'a JSON pointer, which begins with /'),
  z.strictObject({ pointer: z.string().regex(/^\//), subject: z.string().regex(/^\//).optional() }),
])

export const redactRuleSchema = z.strictObject({
  id: ruleId,
  pattern: text,
  ignoreCase: z.boolean().optional(),
  mode: redactModeSchema.optional(),
})
