/**
 * An event that nobody judged before it was emitted: plain SQL put it into the outbox of a database. It is recorded
 * whatever the level, because whoever wrote the statement has decided that; it is redacted like any other.
 */

import { convertEvent } from '../event/convert.ts'
import type { ConvertedEvent } from '../event/converted-event.ts'
import type { Policy } from './policy.ts'
import type { Redaction } from './redact.ts'

/** Converts and redacts whatever it is given. */
export function admitForeign(
  input: unknown,
  policy: Pick<Policy, 'hash' | 'level'>,
  redaction: Redaction,
): ConvertedEvent {
  const event = convertEvent(input)
  const redactions = redaction.redact(event)
  if (redactions.length > 0) event.redactions = redactions
  event.level = policy.level
  event.policy = policy.hash
  return event
}
