/** SIGTERM and SIGINT of a command that runs until it is told to end: the first asks for an orderly end, the second for a quick one. */

export interface Signals {
  readonly first: AbortSignal
  readonly second: AbortSignal
  forget(): void
}

export function listenToSignals(): Signals {
  const [first, second] = [new AbortController(), new AbortController()]
  const onSignal = () => (first.signal.aborted ? second.abort() : first.abort())
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
  const forget = () => void process.off('SIGTERM', onSignal).off('SIGINT', onSignal)
  return { first: first.signal, second: second.signal, forget }
}
