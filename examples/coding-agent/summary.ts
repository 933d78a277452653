/** The story in numbers, and what of them is not as it should be. */

export interface Summary {
  readonly actions: Readonly<Record<string, number>>
  /** Requests that GitLab, Jira and the model received; more than calls, because some were tried again. */
  readonly requests: number
  /** Of comments that were carried out: how many have every step, from webhook to comment, under one correlation id. */
  readonly complete: number
  readonly carriedOut: number
  readonly uncovered: readonly string[]
  /** What was found that must not stand in a trail. */
  readonly leaks: readonly string[]
  readonly verdicts: readonly string[]
}

/** What is not as it should be. */
export function faultsOf(summary: Summary): string[] {
  const { actions, complete, carriedOut, uncovered, leaks, verdicts } = summary
  const denied = actions['approval.mismatch denied'] ?? 0
  return [
    ...(complete === carriedOut
      ? []
      : [`${complete} of ${carriedOut} comments have every step under one correlation id`]),
    ...(denied === 2 ? [] : [`${denied} patches were held back, not 2`]),
    ...((actions['webhook.authenticate denied'] ?? 0) === 2 ? [] : ['a forged or replayed webhook was not refused']),
    ...uncovered.map((call) => `without a record: ${call}`),
    ...leaks.map((leak) => `the trail holds ${leak}`),
    ...verdicts.filter((verdict) => verdict !== 'INTACT').map((verdict) => `a copy is ${verdict}`),
  ]
}
