/** One try with a limit of time: it ends at once when the sending is stopped, and leaves no timer behind. */

/** What a try that ran out of time rejects with. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
}

/**
 * Runs a try whose signal aborts after `timeoutMs`, or with the outer one. What it rejects with when its time was up
 * becomes a TimeoutError that says so, because libraries report every abort alike.
 */
export async function attempt<Result>(
  { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs: number },
  run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  signal.throwIfAborted()
  const attempting = new AbortController()
  const stop = () => attempting.abort(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  const timer = setTimeout(() => attempting.abort(), timeoutMs)
  try {
    return await run(attempting.signal)
  } catch (thrown) {
    if (attempting.signal.aborted && !signal.aborted)
      throw new TimeoutError(`no answer within ${timeoutMs} ms`, { cause: thrown })
    throw thrown
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}
