/** What makes a trail reload by itself: SIGHUP, and a change of the configuration file. */

import { stat } from 'node:fs'
import { errorCode } from '../errors.ts'

/** How often the file is looked at, in milliseconds. Looking finds a file that was replaced too, however it was. */
const lookMs = 1_000

/** Calls at SIGHUP, which no longer ends the process then. Returns how to take that back. Reaches the main thread only. */
export function reloadAtSignal(reload: () => void): () => void {
  process.on('SIGHUP', reload)
  return () => void process.off('SIGHUP', reload)
}

/**
 * Calls when what the path names has changed, also by being replaced or removed, and after the first look: it may have
 * changed since it was read. Keeps no process alive.
 */
export function reloadAtChange(file: string, reload: () => void): () => void {
  let seen = ''
  const look = () => {
    stat(file, (error, found) => {
      const mark = error === null ? `${found.ino} ${found.size} ${found.mtimeMs}` : (errorCode(error) ?? 'unreadable')
      if (mark === seen) return
      seen = mark
      reload()
    })
  }
  const timer = setInterval(look, lookMs).unref()
  return () => clearInterval(timer)
}
