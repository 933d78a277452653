/**
 * Which content rules each preset has in force, and where. Docs/redaction.md shows this table; a test compares them.
 */

import { type ContentRule, contentRules } from './match.ts'
import type { RedactionPreset } from './options.ts'

/** Content rules in force: in free text, and in what names the parties (`actor`, `target`, ids, addresses, routes). */
export interface RulesInForce {
  readonly text: ReadonlySet<ContentRule>
  readonly identity: ReadonlySet<ContentRule>
}

const addresses: readonly ContentRule[] = ['ipv4', 'ipv6']
const personalOrLocal: ReadonlySet<ContentRule> = new Set([...addresses, 'email', 'path', 'pid'])
const secrets = contentRules.filter((rule) => !personalOrLocal.has(rule))

export const rulesByPreset: Readonly<Record<RedactionPreset, RulesInForce>> = {
  off: { text: new Set(), identity: new Set() },
  default: { text: new Set(secrets), identity: new Set() },
  daemon: { text: new Set(contentRules), identity: new Set(addresses) },
  strict: { text: new Set(contentRules), identity: new Set([...secrets, ...addresses]) },
}
