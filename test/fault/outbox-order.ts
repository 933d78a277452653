/** What the program of `outbox-sequencer.ts` is told. */

/** Where it dies: the statement whose answer has just come, or which is just to be sent. */
export const killSteps = ['locked', 'claimed', 'inserted', 'before commit', 'committed'] as const
export type KillStep = (typeof killSteps)[number]

export interface SequencerOrder {
  readonly url: string
  readonly directory: string
  readonly step?: KillStep
  /** At which transaction that comes to this step, from 1. */
  readonly at?: number
}
