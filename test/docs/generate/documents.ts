/**
 * The list of what is made from the code. A document is made whole, or its blocks between `<!-- made: NAME -->` and
 * `<!-- end -->` are; what stands around them is written by hand and stays.
 */

import { describeSchema, printSchema } from '../../../src/cli/schema-document.ts'
import { blocks } from './blocks.ts'
import { complianceTable } from './compliance.ts'
import { configSchema } from './config-schema.ts'
import { environmentTable, optionsTable } from './configuration.ts'
import { environmentExample } from './environment-example.ts'
import { attackTable } from './threat-model.ts'

export interface Generated {
  /** From the root of the repository. */
  readonly path: string
  /** The document as it must be; `current` is what it is. */
  make(current: string): string
}

export const documents: readonly Generated[] = [
  { path: '.env.example', make: environmentExample },
  { path: 'docs/schema/config.json', make: configSchema },
  { path: 'docs/configuration.md', make: blocks({ options: optionsTable, environment: environmentTable }) },
  { path: 'docs/schema/record.json', make: () => printSchema() },
  { path: 'docs/audit-schema.md', make: () => describeSchema() },
  { path: 'docs/threat-model.md', make: blocks({ attacks: attackTable }) },
  { path: 'docs/compliance.md', make: blocks({ profiles: complianceTable }) },
]
