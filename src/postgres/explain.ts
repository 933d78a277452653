/** What an error of a database means to whoever runs it, for those who seal its outbox and read its journal. */

import { AuditError, errorCode, errorText } from '../errors.ts'

const atStandby = 'in a commit that waits for a standby that is away, where synchronous_standby_names is set'

/** One line: what is wrong and, where that is known, what to do. */
export function explainTrouble(thrown: unknown): string {
  if (thrown instanceof AuditError) return `${thrown.message}: ${thrown.hint}`
  const text = errorText(thrown)
  switch (errorCode(thrown)) {
    case '3F000': // no schema
    case '42P01': // no table
    case '42703': // no column
    case '42883': // no function
      return `the audit schema is missing or older than this version: run \`otel-audit migrate up\` (${text})`
    case '25006': // read only
    case '55000': // recovery is in progress
      return `the server takes no changes: a standby, or read only (${text})`
    case '55P03': // lock not available
      return `another connection holds what is to be written, and may hang ${atStandby} (${text})`
    default:
      return text === 'Query read timeout' ? `the server does not answer, and may hang ${atStandby} (${text})` : text
  }
}
