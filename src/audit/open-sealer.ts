/** Puts the sealer of an opened spool together: its policy, its place in the chain, and what it has to say first. */

import type { JsonObject } from '../event/canonical.ts'
import { compileCatalogue } from '../event/catalogue-check.ts'
import { readHeld } from '../forward/quarantine-folder.ts'
import { compilePolicy } from '../policy/policy.ts'
import { compileRedaction } from '../policy/redact.ts'
import { diskFiles } from '../spool/files.ts'
import { CountsSlot } from '../spool/running-counts.ts'
import type { Spool } from '../spool/spool.ts'
import type { PolicyInForce } from './admission.ts'
import type { AuditConfig } from './config.ts'
import type { EventCounts } from './counts.ts'
import { openingFacts } from './opening.ts'
import { Sealer } from './sealer.ts'
import type { Signing } from './signing.ts'
import { Suppressions } from './suppressions.ts'

export interface SealerSetting {
  readonly config: AuditConfig
  readonly inForce: PolicyInForce
  readonly spool: Spool
  readonly counts: EventCounts
  readonly onRefusal: () => void
  /** The key, and what is to be said of it behind the opening. */
  readonly signing: Pick<Signing, 'facts' | 'signer'>
}

/** Seals what is to be said first. Whoever closes the trail closes `suppressions` before the spool's lock goes. */
export function openSealer({ config, inForce, spool, counts, onRefusal, signing }: SealerSetting): {
  readonly sealer: Sealer
  readonly suppressions: Suppressions
} {
  const { state, suppressed: found } = spool.recovered
  const { stream, epoch, watermark } = state
  const owner = { deployment: config.deployment, verifierKey: signing.signer.verifierKey }
  const slot = new CountsSlot(diskFiles, spool.directory)
  const suppressions = new Suppressions({ slot, found, epoch, policy: inForce.policy.hash })
  const sealer = new Sealer({
    inForce,
    catalogue: compileCatalogue(config.catalogue, config.onInvalid),
    suppressions,
    spool,
    service: config.service,
    blockMsMax: config.spool.onFull === 'block' ? config.spool.blockMsMax : 0,
    counts,
    onRefusal,
    opening: [...openingFacts(owner, spool.recovered, refusedBefore(spool)), ...signing.facts],
    owner,
    head: {
      stream,
      epoch,
      sequence: watermark.nextSequence - 1,
      hash: watermark.hash,
      recorded: watermark.recorded,
    },
  })
  return { sealer, suppressions }
}

/** What judges events under this configuration. Throws `INVALID_OPTION`. */
export function compileInForce({ policy, redact }: Pick<AuditConfig, 'policy' | 'redact'>): PolicyInForce {
  const redaction = compileRedaction(redact)
  return { policy: compilePolicy({ ...policy, redaction }), redaction }
}

/** What a destination held in the place of the end of the stream before this one, where it has refused that. */
function refusedBefore({ directory, recovered }: Spool): JsonObject | undefined {
  const { predecessor } = recovered
  return predecessor === undefined ? undefined : readHeld(diskFiles, directory, predecessor.stream)
}
