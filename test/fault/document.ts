/** stub */
import type { FaultResult } from './fault.ts'
export function writeResults(_path: string, _results: readonly FaultResult[]): void {}
