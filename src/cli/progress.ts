/** A line on a terminal for whatever takes longer than a second; nothing where standard error is no terminal. */

import { monotonicMs } from '../clock.ts'
import type { CommandIo } from './command.ts'

const quietMs = 1_000
const redrawMs = 200

export interface Progress {
  show(text: string): void
  /** Takes the line away, before the result is printed. */
  clear(): void
}

export function startProgress({ stderr }: CommandIo): Progress {
  let drawnAt = monotonicMs() + quietMs - redrawMs
  let isDrawn = false
  return {
    show(text) {
      if (stderr.isTTY !== true || monotonicMs() - drawnAt < redrawMs) return
      drawnAt = monotonicMs()
      isDrawn = true
      stderr.write(`\r\x1b[K${text} …`)
    },
    clear() {
      if (isDrawn) stderr.write('\r\x1b[K')
    },
  }
}
