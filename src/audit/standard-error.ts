/**
 * Lines on standard error: notices, and records that the spool could not take. A line is the kernel's when `writeLine`
 * says `written`. One that finds no room (its reader stalls, its disk is full) waits here, at most `waitingBytesMax`
 * of them, and goes out before later ones, by a timer or at exit. Never throws and never waits: `process.stderr` would
 * end the process where its reader is gone or its disk is full, and keeps without bound what a stalled reader leaves.
 */

import fs from 'node:fs'

const standardError = 2
/** Bytes of lines that wait at most. */
const waitingBytesMax = 16 * 2 ** 20
const retryMs = 250

let output: number | undefined
let waiting: Buffer[] = []
let waitingBytes = 0
let isRetryDue = false
let isFlushedAtExit = false

/** `lost`: more than `waitingBytesMax` wait already. */
export type LineFate = 'written' | 'waiting' | 'lost'

/** Writes one line; up to PIPE_BUF bytes (4,096 on Linux) it never mixes with what others print. */
export function writeLine(text: string): LineFate {
  const line = Buffer.from(`${text}\n`)
  writeWaiting()
  if (waitingBytes + line.length > waitingBytesMax) return 'lost'
  waiting.push(line)
  waitingBytes += line.length
  if (writeWaiting()) return 'written'
  retryLater()
  return 'waiting'
}

/** Writes what waits, as far as there is room; true when nothing waits any more. */
export function writeWaiting(): boolean {
  let count = 0
  for (let line = waiting[0]; line !== undefined; line = waiting[count]) {
    const written = tryWrite(line)
    waitingBytes -= written
    if (written < line.length) {
      waiting[count] = line.subarray(written) // begun is finished first, so that the output stays lines
      if (written === 0) break
    } else {
      count += 1
    }
  }
  waiting = count === 0 ? waiting : waiting.slice(count)
  return waiting.length === 0
}

function retryLater(): void {
  if (!isFlushedAtExit) process.once('exit', writeWaiting)
  isFlushedAtExit = true
  if (isRetryDue) return
  isRetryDue = true
  const timer = setTimeout(() => {
    isRetryDue = false
    if (!writeWaiting()) retryLater()
  }, retryMs)
  timer.unref()
}

/** Bytes written; 0 when there is no room now, whatever the reason: it may pass. */
function tryWrite(line: Buffer): number {
  try {
    output ??= openOutput()
    return fs.writeSync(output, line)
  } catch {
    return 0 // the line waits, and is counted when it has waited in vain
  }
}

/**
 * A pipe is opened anew, so that our writes do not block although the rest of the process's may. Where that cannot be
 * (a socket, or another user's pipe), looking at `process.stderr` has Node make it not block, as its first use would.
 * A file must not be opened anew, because its position is shared, and a terminal keeps up.
 */
function openOutput(): number {
  const status = fs.fstatSync(standardError)
  if (!status.isFIFO() && !status.isSocket()) return standardError
  try {
    return fs.openSync('/dev/fd/2', fs.constants.O_WRONLY | fs.constants.O_NONBLOCK)
  } catch {
    void process.stderr
    return standardError
  }
}
