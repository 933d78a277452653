/** What the library says about itself on standard error, one line each. */

import { writeLine } from './standard-error.ts'

const said = new Set<string>()

/** Says what holds for the whole process: once. */
export function notice(text: string): void {
  if (said.has(text)) return
  said.add(text)
  announce(text)
}

/** Says that something has changed: each time. */
export function announce(text: string): void {
  writeLine(`otel-audit: ${text}`)
}
