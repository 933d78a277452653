/**
 * What the benchmarks of emission drive: something that takes an event in one synchronous call. Every contender is
 * one of these, each in a process of its own.
 */

export interface Emitter<Event = unknown> {
  /** Makes what the application hands over; that cost is the application's. */
  create(index: number): Event
  emit(event: Event): void
  /** Resolves when so many more events can be emitted without loss; `undefined` when that is so now. */
  room(events: number): Promise<void> | undefined
  /** Resolves when everything emitted has been confirmed by the sink. */
  settle(): Promise<void>
  /** Ends everything; returns how many records the sink must have received from this contender in all. */
  close(): Promise<number>
}

export interface EmitterSetup {
  /** OTLP/HTTP base URL. */
  readonly sink: string
  /** An empty directory of its own. */
  readonly directory: string
}

/** Records in one request, the same for everyone: the default of the batch processor. */
export const batchRecords = 512

/** The parts of an emitter that keeps nothing and sends nothing. */
export const keepsNothing: Pick<Emitter, 'room' | 'settle' | 'close'> = {
  room: () => undefined,
  settle: () => Promise.resolve(),
  close: () => Promise.resolve(0),
}
