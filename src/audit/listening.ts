/** What a trail listens to beside its program, where the configuration wants that: signals, and a change of its file. */

import type { AuditConfig } from './config.ts'
import { closeAtSignal } from './ending.ts'
import { reloadAtChange, reloadAtSignal } from './reload-triggers.ts'

export interface Listener {
  close(): Promise<void>
  reload(source: 'SIGHUP' | 'file'): void
}

/** Begins to listen; the returned functions end it. */
export function listenToProcess(
  { handleSignals, watchedFile }: Pick<AuditConfig, 'handleSignals' | 'watchedFile'>,
  { close, reload }: Listener,
): (() => void)[] {
  const signals = handleSignals ? [closeAtSignal(close), reloadAtSignal(() => reload('SIGHUP'))] : []
  return watchedFile === undefined ? signals : [...signals, reloadAtChange(watchedFile, () => reload('file'))]
}
