/** The table of docs/compliance.md: what each profile sets and refuses, and what asks for it. */

import { profiles } from '../../../src/audit/options.ts'
import { requirementsOf } from '../../../src/audit/profiles.ts'
import { table } from './blocks.ts'

export function complianceTable(): string {
  const rows = profiles
    .flatMap(requirementsOf)
    .map(({ profile, setting, preset, allowed, control, because }) => [
      `\`${profile}\``,
      `\`${setting}\``,
      preset === undefined ? '' : `\`${String(preset)}\``,
      allowed.replaceAll('"', '`'),
      `${control}: ${because}`,
    ])
  return table(['profile', 'setting', 'set to', 'accepted', 'asked for by'], rows)
}
