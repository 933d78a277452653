/** The attacks of docs/threat-model.md: those of the tamper matrix, each of whose cells is a test. */

import { type Attack, attackKinds, attacks, expectedIn } from '../../tamper/attacks.ts'
import { copies } from '../../tamper/matrix.ts'
import { table } from './blocks.ts'

/** A row for each kind of attack: what finds it in a copy by itself, and what of it no copy can show. */
export function attackTable(): string {
  const kinds = attackKinds.filter((kind) => kind !== 'nothing')
  const rows = kinds.map((kind) => {
    const own = attacks.filter((attack) => attack.kind === kind)
    const hidden = own.filter(({ undetectable }) => undetectable === true).map(({ name }) => name)
    return [kind, verdictsOf(own), hidden.join('; ') || '—']
  })
  return table(['what is done', 'what verification says', 'what a copy by itself cannot show'], rows)
}

/** Findings first; then what is said where there is none: an order that the copy does not keep, a repetition. */
function verdictsOf(own: readonly Attack[]): string {
  const shown = own.filter(({ undetectable }) => undetectable !== true)
  const expected = (shown.length > 0 ? shown : own).flatMap((attack) =>
    copies.flatMap((copy) => expectedIn(attack, copy) ?? []),
  )
  const found = expected.flatMap(({ finds }) => finds.map((find) => find.split(' ')[0] ?? ''))
  const benign = expected.flatMap(({ finds, verdict }) => (finds.length === 0 ? [verdict ?? ''] : []))
  return [...new Set([...found, ...benign])].map((verdict) => `\`${verdict}\``).join(', ')
}
