/**
 * Every member of a record, in words and as JSON Schema, for those who review a trail: docs/formats.md section 1 in
 * short. The compiler holds it to the members that a record has. Whatever redaction may hide has no closed list here.
 */

import type { JsonObject } from '../event/canonical.ts'
import { actorTypes, errorClasses, operations, outcomes } from '../event/event.ts'
import type { RecordMembers } from '../event/record.ts'
import { levels } from '../policy/level.ts'

/** What a member holds. */
export interface MemberDocument {
  /** Markdown, for a column of a table. */
  readonly form: string
  /** Markdown, one sentence. */
  readonly meaning: string
  readonly schema: JsonObject
}

const text: JsonObject = { type: 'string' }
const number: JsonObject = { type: 'number' }
const hash: JsonObject = { type: 'string', pattern: '^[0-9a-f]{64}$' }
const uuid: JsonObject = { type: 'string', format: 'uuid' }
const fromOne: JsonObject = { type: 'integer', minimum: 1 }
const time: JsonObject = { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{9}Z$' }

const target: JsonObject = { type: 'object', properties: { id: {}, name: {}, resource_type: {} } }

/** Members that every record has. */
export const requiredMembers = [
  'v',
  'event_type',
  'id',
  'stream',
  'seq',
  'epoch',
  'timestamp',
  'recorded',
  'schema',
  'action',
] as const satisfies (keyof RecordMembers)[]

export const memberDocuments: { readonly [Member in keyof RecordMembers]-?: MemberDocument } = {
  v: { form: '`"1"`', meaning: 'version of the record format', schema: { const: '1' } },
  event_type: {
    form: '`"audit"`, or a type of control record',
    meaning: 'whether the application said it, or the trail says it about itself',
    schema: { type: 'string', pattern: '^audit(?:\\.[a-z]+)*$' },
  },
  id: {
    form: 'UUIDv7',
    meaning: 'id of the record: tells a repeated delivery from a second event',
    schema: uuid,
  },
  stream: { form: 'UUID', meaning: 'the chain that the record belongs to', schema: uuid },
  seq: { form: 'integer ≥ 1', meaning: 'its number in the stream: no gaps, never issued twice', schema: fromOne },
  prev: {
    form: '64 hex digits, absent at `seq` 1',
    meaning: 'hash of the record before it: what makes a change or a deletion show',
    schema: hash,
  },
  epoch: { form: 'integer ≥ 1', meaning: 'how often the writer of the stream has been opened', schema: fromOne },
  timestamp: { form: 'RFC 3339, UTC, nine fractional digits', meaning: 'when it happened', schema: time },
  recorded: { form: 'as `timestamp`', meaning: 'when it was sealed; never before the record before it', schema: time },
  clock: {
    form: 'as `timestamp`',
    meaning: 'the clock as it was, when it was behind and `recorded` was moved forward',
    schema: time,
  },
  schema: {
    form: '`1`, or `1;ACTION=VERSION`',
    meaning: 'version of the event schema, and of the action’s own when it is catalogued',
    schema: { type: 'string', pattern: '^1(?:;.+=.+)?$' },
  },
  action: {
    form: 'dotted name',
    meaning: 'what was done: `invoice.delete`; of a control record its `event_type`',
    schema: { type: 'string', minLength: 1 },
  },
  operation: {
    form: quoted(operations),
    meaning: 'the kind of act, by which the level of the policy decides; absent counts as `other`',
    schema: { enum: [...operations] },
  },
  level: {
    form: quoted(levels),
    meaning: 'the policy level under which the event was kept',
    schema: text,
  },
  policy: { form: '64 hex digits', meaning: 'hash of the policy and the redaction that were in force', schema: hash },
  sampling: {
    form: '`{rate, threshold}`',
    meaning: 'present when only a share of such events was kept: the share, and the number that the draw stayed below',
    schema: { type: 'object', properties: { rate: number, threshold: number } },
  },
  actor: {
    form: '`{id, name, on_behalf_of, roles, type}`',
    meaning: `who did it; types: ${quoted(actorTypes)}`,
    schema: {
      type: 'object',
      properties: {
        id: {},
        name: {},
        on_behalf_of: {},
        roles: {},
        type: { examples: [...actorTypes] },
      },
    },
  },
  target: { form: '`{id, name, resource_type, …}`', meaning: 'what it was done to', schema: target },
  targets: {
    form: 'array of such',
    meaning: 'what it was done to, when that is more than one',
    schema: { type: 'array', items: { type: 'object' } },
  },
  tenant: { form: 'string', meaning: 'the customer or part of the organisation it belongs to', schema: text },
  session: { form: 'string', meaning: 'the session in which it happened', schema: text },
  grant: { form: 'string', meaning: 'the permission or approval that allowed it', schema: text },
  outcome: {
    form: quoted(outcomes),
    meaning: 'how it ended; absent counts as `unknown`',
    schema: { enum: [...outcomes] },
  },
  error: {
    form: '`{class, code, message}`',
    meaning: `why it failed; classes: ${quoted(errorClasses)}`,
    schema: {
      type: 'object',
      properties: { class: { examples: [...errorClasses] }, code: {}, message: {} },
    },
  },
  reason: { form: 'string', meaning: 'why it was done, or refused', schema: text },
  correlation_id: {
    form: 'string',
    meaning: 'joins the records of one piece of work, across services',
    schema: text,
  },
  trace: {
    form: '`{flags, id, span}`',
    meaning: 'the OpenTelemetry trace and span in which it happened, ids in lower-case hex',
    schema: {
      type: 'object',
      properties: {
        flags: { type: 'integer', minimum: 0, maximum: 255 },
        id: { type: 'string', pattern: '^[0-9a-f]{32}$' },
        span: { type: 'string', pattern: '^[0-9a-f]{16}$' },
      },
      required: ['flags', 'id', 'span'],
    },
  },
  request: {
    form: '`{id, method, route, source_ip, status, user_agent}`',
    meaning: 'the request in which it happened',
    schema: {
      type: 'object',
      properties: { id: {}, method: {}, route: {}, source_ip: {}, status: {}, user_agent: {} },
    },
  },
  service: { form: 'string', meaning: 'the service that said it', schema: text },
  resource: {
    form: 'object',
    meaning: 'what else of the OpenTelemetry resource was kept',
    schema: { type: 'object' },
  },
  duration_ms: { form: 'number', meaning: 'how long it took, in milliseconds', schema: number },
  attempts: { form: 'number', meaning: 'how often it was tried', schema: number },
  changes: {
    form: '`{field: {from, to}}`',
    meaning: 'field by field, before and after',
    schema: { type: 'object' },
  },
  details: {
    form: 'object',
    meaning: 'everything else; of a catalogued action as the catalogue says, of a control record as below',
    schema: { type: 'object' },
  },
  validation: {
    form: 'array of `{pointer, rule}`',
    meaning:
      'what was cut, coerced or moved when the event was recorded, and what its catalogue found wrong (`schema:…`)',
    schema: { type: 'array', items: { type: 'object', properties: { pointer: text, rule: text } } },
  },
  redactions: {
    form: 'array of `{count, pointer, rule}`',
    meaning: 'what was hidden before sealing: by which rule, where, how often; never the value',
    schema: {
      type: 'array',
      items: { type: 'object', properties: { count: fromOne, pointer: text, rule: text } },
    },
  },
  commitments: {
    form: '`{pointer: base64url}`',
    meaning: 'what stands for personal values: digests of disclosures, which can be erased without breaking the chain',
    schema: { type: 'object', additionalProperties: text },
  },
}

function quoted(values: readonly string[]): string {
  return values.map((value) => `\`${value}\``).join(', ')
}
