/**
 * Counts the log records of an OTLP request, JSON or protobuf, without decoding them: in protobuf a record is field 2
 * of ScopeLogs, which is field 2 of ResourceLogs, which is field 1 of the request.
 */

interface JsonRequest {
  readonly resourceLogs?: readonly { readonly scopeLogs?: readonly { readonly logRecords?: readonly unknown[] }[] }[]
}

/** How many log records the body of a request holds. */
export function countLogRecords(body: Buffer, mediaType: string): number {
  return mediaType.includes('json') ? countJson(JSON.parse(body.toString('utf8'))) : countFields(body, [1, 2, 2])
}

function countJson({ resourceLogs = [] }: JsonRequest): number {
  return resourceLogs
    .flatMap(({ scopeLogs = [] }) => scopeLogs)
    .reduce((sum, { logRecords = [] }) => sum + logRecords.length, 0)
}

/** How many fields lie at the end of this path of field numbers. */
function countFields(message: Buffer, [field, ...rest]: readonly number[]): number {
  if (field === undefined) return 1
  let count = 0
  for (let at = 0; at < message.length; ) {
    const [key, afterKey] = readVarint(message, at)
    const [length, start] = readVarint(message, afterKey)
    if (key % 8 !== 2) throw new Error(`field of wire type ${key % 8}: not the envelope of OTLP logs`)
    if (key >> 3 === field) count += countFields(message.subarray(start, start + length), rest)
    at = start + length
  }
  return count
}

function readVarint(bytes: Buffer, at: number): readonly [value: number, next: number] {
  let value = 0
  for (let shift = 0; ; shift += 7, at += 1) {
    const byte = bytes[at] ?? 0
    value += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) return [value, at + 1]
  }
}
