/** The settings of redaction and of personal values: what is allowed, the defaults, what the documents say. */

import { z } from 'zod'
import { redactionPresets } from '../policy/redaction/options.ts'
import { personalPointerSchema, redactModeSchema, redactPointerSchema, redactRuleSchema } from './rule-schema.ts'
import { noted } from './setting-note.ts'

const text = z.string().min(1, 'a string that is not empty')
const texts = z.array(text)
/** A shorter secret can be found by trying. */
const secretLengthMin = 16
const secret = z.string().min(secretLengthMin, `a string of at least ${secretLengthMin} characters`)

/** The section `redact`. */
export const redactSchema = z.strictObject({
  preset: noted(z.enum(redactionPresets).default('default'), {
    about:
      'which rules hide secrets ([redaction.md](redaction.md)); `off` leaves only what the settings below name, and is said at start',
    example: 'default',
    isReloaded: true,
  }),
  keys: noted(texts.default([]), {
    about: 'more key names to hide, at any depth, whatever their case',
    example: 'ssn,iban',
    isReloaded: true,
  }),
  pointers: noted(z.array(redactPointerSchema).default([]), {
    about: 'places to hide: JSON pointers (RFC 6901) into the event, `*` for any key; a text or `{"pointer", "mode"}`',
    example: '["/details/patient/*"]',
    isReloaded: true,
  }),
  rules: noted(z.array(redactRuleSchema).default([]), {
    about:
      'patterns of your own: `{"id", "pattern", "ignoreCase", "mode"}`; a pattern that could take long on hostile input is refused',
    example: '[{"id":"ticket","pattern":"T-[0-9]{6}"}]',
    isReloaded: true,
  }),
  modes: noted(z.record(text, redactModeSchema).default({}), {
    about: 'how a rule or key hides: `remove`, `mask`, `truncate`, `pseudonym`',
    example: '{"email":"pseudonym"}',
    isReloaded: true,
  }),
  personal: noted(z.array(personalPointerSchema).default([]), {
    about:
      'places of personal values, which are sealed as commitments and can be erased ([erasure.md](erasure.md)): pointers as above, a text or `{"pointer", "subject"}`; needs `redact.pseudonymKey`',
    example: '["/actor/name",{"pointer":"/target/name","subject":"/target/id"}]',
    isReloaded: true,
  }),
  pseudonymKey: noted(secret.optional(), {
    about: 'key of the mode `pseudonym`, and of the pseudonyms of subjects; at least 16 characters',
    example: 'a-key-of-this-deployment',
    isSecret: true,
    isReloaded: true,
  }),
  pseudonymKeyFile: noted(text.optional(), {
    about: 'a file that holds `redact.pseudonymKey`; not readable by everybody',
    example: '/run/secrets/audit-pseudonym',
    isReloaded: true,
  }),
})
