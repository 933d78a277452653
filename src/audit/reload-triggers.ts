/** What makes a trail reload by itself: SIGHUP, and a change of the configuration file. */

import { type StatsListener, unwatchFile, watchFile } from 'node:fs'

/** How often the file is looked at, in milliseconds: a look finds a file that was replaced too, however it was. */
const lookMs = 1_000

/** Calls at SIGHUP, which no longer ends the process then. Returns how to take that back. Reaches the main thread only. */
export function reloadAtSignal(reload: () => void): () => void {
  process.on('SIGHUP', reload)
  return () => void process.off('SIGHUP', reload)
}

/** Calls when what the path names has changed, also by being replaced or removed. Keeps no process alive. */
export function reloadAtChange(file: string, reload: () => void): () => void {
  const look: StatsListener = (now, before) => {
    if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino || now.size !== before.size) reload()
  }
  watchFile(file, { persistent: false, interval: lookMs }, look)
  return () => unwatchFile(file, look)
}
