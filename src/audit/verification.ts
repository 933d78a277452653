/**
 * Verification of the own spool in the background of a service, at an interval: one thread for each, gone when it is
 * done. What it finds is sealed for each stream (`audit.verified`), counted for metrics and, when something is wrong, said
 * on standard error. One runs at a time. It proves that the disk still holds what was sealed; whoever holds the signing
 * key can deceive it, and only a verification elsewhere is independent.
 */

import { afterMs, nowMs } from '../clock.ts'
import type { ControlFact } from '../event/record.ts'
import { type SourceReport, verifiedDetails } from '../verify/report.ts'
import { announce } from './notice.ts'
import { startVerification } from './threads.ts'

export interface VerificationSetting {
  readonly worker: URL
  /** The spool directory. */
  readonly directory: string
  readonly verifierKeys: readonly string[]
  /** 0: never. */
  readonly intervalMinutes: number
  readonly seal: (fact: ControlFact) => void
}

/** For metrics; before the first verification nothing. */
export interface VerificationCounts {
  /** Of the last verification that could read the spool. */
  readonly findings: number | undefined
  /** Seconds since the epoch. */
  readonly lastSuccess: number | undefined
}

export class Verification {
  readonly #setting: VerificationSetting
  #counts: VerificationCounts = { findings: undefined, lastSuccess: undefined }
  #cancel: () => void = () => {}
  #isStopped = false

  constructor(setting: VerificationSetting) {
    this.#setting = setting
    this.#schedule()
  }

  get counts(): VerificationCounts {
    return this.#counts
  }

  /** No further one begins, and one under way comes to nothing. */
  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  #schedule(): void {
    const { intervalMinutes } = this.#setting
    if (intervalMinutes > 0) this.#cancel = afterMs(intervalMinutes * 60_000, () => this.#begin())
  }

  #begin(): void {
    const { worker, directory, verifierKeys } = this.#setting
    const start = { directory, verifierKeys }
    this.#cancel = startVerification(worker, { role: 'verify', start }, (outcome) => {
      if (this.#isStopped) return
      if (typeof outcome === 'string') announce(`the spool ${directory} could not be verified: ${outcome}`)
      else this.#take(outcome)
      this.#schedule()
    })
  }

  #take(report: SourceReport): void {
    const { exitCode, verdict, unreadable } = report
    const findings = Object.values(report.findingCounts).reduce((sum, count) => sum + count, 0)
    const { directory, seal } = this.#setting
    if (exitCode === 2) announce(`the spool ${directory} could not be verified: ${unreadable[0]?.reason ?? verdict}`)
    else this.#counts = { ...this.#counts, findings }
    if (exitCode === 0) this.#counts = { findings, lastSuccess: Math.floor(nowMs() / 1_000) }
    if (exitCode === 1) {
      const first = report.findings[0]
      announce(
        `verification of the spool ${directory} has ${findings} findings, the worst ${verdict} ` +
          `(${first?.detail ?? 'no detail'}); look with: otel-audit verify ${directory} --vkey KEY`,
      )
    }
    for (const stream of report.streams) seal({ type: 'audit.verified', details: verifiedDetails(stream, 'spool') })
  }
}
