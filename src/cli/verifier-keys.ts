/** How commands read `--vkey`. */

import { readFileSync } from 'node:fs'
import { type NoteRefusal, parseVerifierKey, type Verifier } from '../chain/note.ts'
import { AuditError, errorText } from '../errors.ts'

/** The keys of one `--vkey`: the key itself, or a file that holds one a line. */
export function readVerifiers(given: string): Verifier[] {
  const literal = parseVerifierKey(given.trim())
  if (!('problem' in literal)) return [literal]
  const lines = readKeyFile(given, literal).split('\n')
  const keys = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
  if (keys.length === 0) throw badKey(given, 'the file holds no key')
  return keys.map((key) => {
    const verifier = parseVerifierKey(key)
    if ('problem' in verifier) throw badKey(given, verifier.reason)
    return verifier
  })
}

function readKeyFile(path: string, literal: NoteRefusal): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw badKey(
      path,
      `it is neither a key (${literal.reason}) nor a file that can be read (${errorText(cause)})`,
      cause,
    )
  }
}

function badKey(given: string, reason: string, cause?: unknown): AuditError {
  const hint = 'give a verifier key or its file, as "otel-audit key public" prints it'
  return new AuditError('INVALID_OPTION', `--vkey ${given}: ${reason}`, { setting: '--vkey', hint, cause })
}
