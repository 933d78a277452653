/**
 * What the benchmark of the spool drives: something that takes an event in one synchronous call and makes it durable,
 * either when it is told to or by itself. Every contender is one of these, each in a process of its own.
 */

export interface Keeper<Event = unknown> {
  /** Makes what is handed over; that cost is the application's. */
  create(index: number): Event
  append(event: Event): void
  /** What was appended last survives power loss; with everything before it. */
  readonly durable?: (() => Promise<void>) | undefined
  /** Instead of `durable`: blocks until everything appended survives power loss. A keeper with neither promises nothing. */
  readonly commit?: (() => void) | undefined
  /** Bytes of the records of `create`, on average. */
  recordBytes(): number
  /** Leaves no work for the kernel that would go on in somebody else's turn. */
  settle(): Promise<void>
  close(): Promise<void>
}

export interface KeeperSetup {
  /** An empty directory of its own: what grows in it is what the keeper needs on disk. */
  readonly directory: string
}
