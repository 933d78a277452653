/**
 * What a command has done, sealed in the operations stream of a directory (`--operations DIR`): a trail of its own, for only
 * its writer seals in a stream. It has no destinations unless somebody forwards it (`otel-audit forward --spool DIR`).
 */

import { createAudit } from '../audit/create.ts'
import { AuditError } from '../errors.ts'
import type { ControlFact } from '../event/record.ts'
import type { CommandIo } from './command.ts'
import { readOperationsConfig } from './operations-trail.ts'
import { userName } from './spool-arguments.ts'

/** The option, and its line of help. */
export const operationsNoteOption = { operations: { type: 'string' } } as const
export const operationsNoteHelp = 'seal what was done in the trail of this directory; it is made when it is not there'

/** Seals the facts, each with who did it; resolves when they are durable. Throws when they cannot be. */
export async function noteOperations(
  directory: string,
  facts: readonly ControlFact[],
  { env }: Pick<CommandIo, 'env'>,
): Promise<void> {
  const { service, deployment, isKeyDefault, signingKeyFile } = readOperationsConfig(directory, undefined, env)
  const keys = isKeyDefault ? {} : { keys: { signingKeyFile } }
  const audit = createAudit({ service, deployment, spool: { directory }, policy: { level: 'all' }, ...keys })
  try {
    const operator = userName()
    const sealed = facts.map(({ type, details }) => audit.sealOperation({ type, details: { ...details, operator } }))
    if (!(await Promise.all(sealed)).includes(undefined)) return
    throw new AuditError('SPOOL_FAILED', `what was done could not be sealed in ${directory}`, {
      setting: '--operations',
      hint: 'look at the disk of that directory: otel-audit spool status DIR',
    })
  } finally {
    await audit.close()
  }
}
