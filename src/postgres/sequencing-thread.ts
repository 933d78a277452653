/** The sequencer on a thread of its own: seals the outbox of a database until it is told to stop, and says how it stands. */

import type { MessagePort } from 'node:worker_threads'
import { signerFromPem } from '../chain/keys.ts'
import type { Rotation } from '../chain/rotation.ts'
import { errorText } from '../errors.ts'
import { admitForeign } from '../policy/foreign.ts'
import type { Policy } from '../policy/policy.ts'
import { compileRedaction } from '../policy/redact.ts'
import type { RedactionOptions } from '../policy/redaction/options.ts'
import { SeenHeadFile } from './seen-head.ts'
import { type SequencerState, Sequencing, type SequencingOptions, untried } from './sequencing.ts'
import type { StandbyDemand } from './standbys.ts'

const reportMs = 1_000

export interface SequencingStart {
  readonly url: string
  /** Where the head that was seen is kept. */
  readonly directory: string
  readonly key: { readonly pem: string; readonly name: string }
  /** That led to the key. */
  readonly rotations: readonly Rotation[]
  readonly service: string
  /** What stands in the records of events that plain SQL put into the outbox. */
  readonly policy: Pick<Policy, 'hash' | 'level'>
  readonly redact: RedactionOptions
  /** How many must hold what is signed. */
  readonly standbys: StandbyDemand
}

export type SequencingMessage =
  | { readonly kind: 'state'; readonly state: SequencerState }
  /** It began or ceased to fail. */
  | { readonly kind: 'changed'; readonly state: SequencerState }

/** Throws for a URL that cannot be used. */
export function openSequencing(
  start: Omit<SequencingStart, 'key'>,
  { signer, seen, onChange }: Pick<SequencingOptions, 'signer' | 'seen' | 'onChange'>,
): Sequencing {
  const redaction = compileRedaction(start.redact)
  return new Sequencing({
    url: start.url,
    signer,
    rotations: start.rotations,
    service: start.service,
    admit: (input) => admitForeign(input, start.policy, redaction),
    seen,
    standbys: start.standbys,
    onChange,
  })
}

/** Runs until the port says `stop`. */
export async function runSequencing(start: SequencingStart, port: MessagePort): Promise<void> {
  const stopping = new AbortController()
  port.on('message', () => stopping.abort())
  const post = (message: SequencingMessage) => port.postMessage(message)
  try {
    const signer = signerFromPem(start.key.pem, start.key.name)
    const seen = new SeenHeadFile(start.directory)
    const sequencing = openSequencing(start, { signer, seen, onChange: (state) => post({ kind: 'changed', state }) })
    const timer = setInterval(() => post({ kind: 'state', state: sequencing.state }), reportMs)
    await sequencing.run(stopping.signal)
    clearInterval(timer)
    post({ kind: 'state', state: sequencing.state })
  } catch (thrown) {
    post({ kind: 'changed', state: { ...untried, condition: 'failing', lastError: errorText(thrown) } })
  } finally {
    port.close()
  }
}
