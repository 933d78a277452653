/**
 * What the library says on standard error: notices, each once per process, one line each; and records that the spool
 * could not take, as NDJSON without stream, seq and prev, so that they are not lost with it.
 */

const said = new Set<string>()

/** Says one line, once. */
export function notice(text: string): void {
  if (said.has(text)) return
  said.add(text)
  writeLine(`otel-audit: ${text}`)
}

/** Writes a record that has no place in a stream. */
export function writeEmergency(record: string, reason: string): void {
  const { stream: _stream, seq: _seq, prev: _prev, ...members } = JSON.parse(record) as Record<string, unknown>
  writeLine(JSON.stringify({ ...members, emergency: reason }))
}

function writeLine(text: string): void {
  try {
    process.stderr.write(`${text}\n`)
  } catch {
    // Standard error is closed: nothing is left to say it on; `audit.state` still counts it.
  }
}
