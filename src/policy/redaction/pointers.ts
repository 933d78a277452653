/**
 * Places in an event by JSON pointer (RFC 6901). In a token `~0` stands for `~` and `~1` for `/` as there; a token `*`
 * stands for every key or index, and `~2` for a `*` that is meant. Pointers name members of the event as it is sealed;
 * what the record cannot do without (`action`, `outcome`, `error.class`) cannot be named.
 */

import { AuditError } from '../../errors.ts'
import { type RedactionMode, type RedactionPointer, redactionModes } from './options.ts'

/** The members of an event that redaction may change. */
export const redactedMembers = {
  texts: ['correlation_id', 'grant', 'reason', 'session', 'tenant'],
  containers: ['actor', 'changes', 'details', 'error', 'request', 'resource', 'target', 'targets'],
} as const

/** A step of a path: any key, or this one. */
export type Step = string | typeof anyKey
export const anyKey = Symbol('any key')

/** A pointer, read. */
export interface PointerRule {
  /** `pointer:` and the pointer as it was written. */
  readonly name: string
  readonly steps: readonly Step[]
  readonly mode: RedactionMode
}

/** Throws `INVALID_OPTION` for what is no pointer into an event. */
export function parsePointer(given: string | RedactionPointer, setting: string): PointerRule {
  const { pointer, mode = 'mask' } = typeof given === 'string' ? { pointer: given } : given
  const refuse = (what: string, hint: string): AuditError =>
    new AuditError('INVALID_OPTION', `${setting} is ${JSON.stringify(pointer)}: ${what}`, { setting, hint })
  if (!pointer.startsWith('/')) throw refuse('a JSON pointer begins with /', 'write it like /details/user/ssn')
  if (!redactionModes.includes(mode))
    throw refuse(`no mode ${JSON.stringify(mode)}`, `modes are ${redactionModes.join(', ')}`)
  if (/~(?![012])/.test(pointer)) {
    throw refuse('~ must be followed by 0, 1 or 2', 'write ~0 for ~, ~1 for / and ~2 for a literal *')
  }
  const steps = pointer.slice(1).split('/').map(readStep)
  const [member] = steps
  const members: readonly Step[] = [...redactedMembers.texts, ...redactedMembers.containers]
  if (!members.includes(member ?? '')) {
    throw refuse(
      'it names no member that may be redacted',
      `begin with one of ${members.map((name) => `/${String(name)}`).join(', ')}`,
    )
  }
  if (member === 'error' && steps[1] === 'class') {
    throw refuse('the class of an error is one of a few words, and needed', 'name /error/message or /error/code')
  }
  return { name: `pointer:${pointer}`, steps, mode }
}

function readStep(token: string): Step {
  return token === '*' ? anyKey : token.replaceAll('~1', '/').replaceAll('~2', '*').replaceAll('~0', '~')
}
