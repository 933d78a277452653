/** Damages bytes at random, the way disks, editors and attackers do. */

import type { Random } from '../fault/random.ts'

/** Bytes that mean something in one of the formats. */
const telling = Buffer.from('\0\n "\\{}[],:-+/=0129aefuxAZ\u2014\u00e9\uffff')
const numbers = ['0', '-1', '1e400', '9007199254740993', '00', '1.5', '18446744073709551616', 'null', '{}', '""']

/** A copy with one to four changes; `others` are samples that pieces may come from. */
export function mutate(sample: Buffer, others: readonly Buffer[], random: Random): Buffer {
  let bytes: Buffer = Buffer.from(sample)
  for (let changes = 1 + random.below(4); changes > 0; changes -= 1) {
    const change = changers[random.below(changers.length)]
    if (change !== undefined) bytes = change(bytes, random, others)
  }
  return bytes
}

type Changer = (bytes: Buffer, random: Random, others: readonly Buffer[]) => Buffer

const changers: readonly Changer[] = [
  (bytes, random) => withByte(bytes, random, (byte) => byte ^ (1 << random.below(8))),
  (bytes, random) => withByte(bytes, random, () => telling[random.below(telling.length)] ?? 0),
  (bytes, random) => withByte(bytes, random, () => random.below(256)),
  // Cut off, cut out, repeated, exchanged.
  (bytes, random) => Buffer.from(bytes.subarray(0, random.below(bytes.length + 1))),
  (bytes, random) => splice(bytes, range(bytes, random), Buffer.alloc(0)),
  (bytes, random) => {
    const [from, to] = range(bytes, random)
    return splice(bytes, [to, to], bytes.subarray(from, to))
  },
  (bytes, random, others) => {
    const other = others[random.below(others.length)] ?? bytes
    return splice(bytes, range(bytes, random), other.subarray(...range(other, random)))
  },
  (bytes, random) => {
    const at = random.below(bytes.length + 1)
    return splice(bytes, [at, at], Buffer.from(numbers[random.below(numbers.length)] ?? ''))
  },
  (bytes, random) => {
    const at = random.below(bytes.length + 1)
    return splice(bytes, [at, at], Buffer.from(Array.from({ length: 1 + random.below(40) }, () => random.below(256))))
  },
]

function withByte(bytes: Buffer, random: Random, change: (byte: number) => number): Buffer {
  if (bytes.length === 0) return bytes
  const at = random.below(bytes.length)
  bytes[at] = change(bytes[at] ?? 0)
  return bytes
}

/** Mostly short, now and then anything. */
function range(bytes: Buffer, random: Random): [number, number] {
  const from = random.below(bytes.length + 1)
  const rest = bytes.length - from
  return [from, from + random.below((random.chance(0.8) ? Math.min(rest, 24) : rest) + 1)]
}

function splice(bytes: Buffer, [from, to]: readonly [number, number], by: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(to)])
}
