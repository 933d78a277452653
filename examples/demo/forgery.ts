/** The crime of the story: a copy of the trail in which one byte of one record says that somebody else did it. */

import { readFileSync, writeFileSync } from 'node:fs'
import { users } from './visit.ts'

export interface Forgery {
  readonly stream: string
  readonly sequence: number
  readonly action: string
  readonly outcome: string
  readonly actor: string
  readonly forgedActor: string
}

interface Line {
  readonly stream: string
  readonly seq: number
  readonly action: string
  readonly outcome: string
}

const actorPattern = /"actor":\{"id":"u-(\d)"/

/** Copies the trail and changes one byte of a record in its middle, one that was denied if there is one. */
export function forge(trail: string, forged: string): Forgery {
  const lines = readFileSync(trail, 'utf8').split('\n')
  const index = chooseLine(lines)
  const line = lines[index] ?? ''
  const digit = actorPattern.exec(line)?.[1] ?? ''
  const forgedDigit = String((Number(digit) % users.length) + 1)
  lines[index] = line.replace(actorPattern, (found) => `${found.slice(0, -2)}${forgedDigit}"`)
  writeFileSync(forged, lines.join('\n'))
  const { stream, seq: sequence, action, outcome } = JSON.parse(line) as Line
  return { stream, sequence, action, outcome, actor: `u-${digit}`, forgedActor: `u-${forgedDigit}` }
}

function chooseLine(lines: readonly string[]): number {
  const candidates = [...lines.keys()].filter((index) => actorPattern.test(lines[index] ?? ''))
  const denied = candidates.filter((index) => /"action":"invoice\.\w+".*"outcome":"denied"/.test(lines[index] ?? ''))
  const chosen = denied.length > 0 ? denied : candidates
  const index = chosen[Math.floor(chosen.length / 2)]
  if (index === undefined) throw new Error('the trail holds no record that could be forged')
  return index
}
