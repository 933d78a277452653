/**
 * Delivery to standard output as NDJSON. Written counts as delivered: whoever reads it cannot confirm more.
 * Always holds: a reader that stalls holds up this destination only, never the thread; a line begun is finished
 * before another begins, so that the output stays NDJSON after every failure.
 */

import fs from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { errorCode, errorText } from '../errors.ts'
import type { Delivery, Destination } from './destination.ts'
import type { StdoutDestinationOptions } from './options.ts'

const standardOutput = 1
/** Between two looks at a full pipe, in milliseconds. */
const fullPauseMs = 10
/** How often in a row the pipe may be full before the forwarder hears of it. */
const fullPausesMax = 500

/** A destination that writes each record as one line. */
export function createStdoutDestination(options: StdoutDestinationOptions): Destination {
  let output: number | undefined
  /** What a failed write left of the line it had begun. */
  let unfinished: Buffer = Buffer.alloc(0)

  async function writeLine(file: number, line: Buffer, signal: AbortSignal): Promise<void> {
    let rest = line
    let pauses = 0
    while (rest.length > 0) {
      const written = tryWrite(file, rest)
      if (written > 0) {
        rest = rest.subarray(written)
        unfinished = rest
        pauses = 0
        continue
      }
      pauses += 1
      if (pauses > fullPausesMax) throw new Error('nobody reads it')
      await delay(fullPauseMs, undefined, { signal })
    }
  }

  return {
    name: options.name ?? 'stdout',
    async send({ records }, signal): Promise<Delivery> {
      if (signal.aborted) return { status: 'retry', reason: 'stopped' }
      try {
        output ??= openOutput()
        if (unfinished.length > 0) await writeLine(output, unfinished, signal)
        // One write a record: up to PIPE_BUF bytes it cannot mix with what other threads print.
        for (const { bytes } of records) await writeLine(output, Buffer.concat([bytes, Buffer.from('\n')]), signal)
        return { status: 'delivered' }
      } catch (thrown) {
        return { status: 'retry', reason: signal.aborted ? 'stopped' : `standard output: ${errorText(thrown)}` }
      }
    },
    async close() {
      if (output !== undefined && output !== standardOutput) fs.closeSync(output)
      output = undefined
    },
  }
}

/**
 * A pipe is opened anew, so that our writes do not block although the rest of the process's still do. A file must
 * not be (the new position would overwrite), a socket cannot be, and a terminal keeps up.
 */
function openOutput(): number {
  if (!fs.fstatSync(standardOutput).isFIFO()) return standardOutput
  try {
    return fs.openSync('/dev/fd/1', fs.constants.O_WRONLY | fs.constants.O_NONBLOCK)
  } catch {
    return standardOutput // no /dev/fd, or not ours to open: then a stalled reader blocks
  }
}

/** Bytes written; 0 when there is no room now. */
function tryWrite(file: number, bytes: Buffer): number {
  try {
    return fs.writeSync(file, bytes)
  } catch (thrown) {
    if (errorCode(thrown) === 'EAGAIN') return 0
    throw thrown
  }
}
