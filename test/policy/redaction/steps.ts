/**
 * Counts the steps of a search in a text: every character that is looked at, copied or passed over. So whether time
 * grows with the length or with its square can be asserted without a clock.
 */

type Counted = (this: unknown, ...args: unknown[]) => unknown

/** Characters looked at while `run` runs. */
export function countSteps(run: () => void): number {
  let steps = 0
  const restore = [
    count(String.prototype, 'charCodeAt', () => 1),
    count(String.prototype, 'slice', (result) => String(result).length),
    count(String.prototype, 'toLowerCase', (result) => String(result).length),
    count(String.prototype, 'includes', (_, text) => String(text).length),
    count(String.prototype, 'startsWith', () => 1),
    count(String.prototype, 'indexOf', (found, text, from) => distance(found, text, from)),
    count(String.prototype, 'lastIndexOf', (found, text, from) => Number(from ?? String(text).length) - Number(found)),
    count(RegExp.prototype, 'exec', countExec),
  ]
  try {
    run()
  } finally {
    for (const put of restore) put()
  }
  return steps

  function count(owner: object, name: string, cost: (result: unknown, text: unknown, from: unknown) => number) {
    const members = owner as Record<string, Counted>
    const original = members[name] as Counted
    members[name] = function counted(...args) {
      const from = this instanceof RegExp ? this.lastIndex : args[1]
      const result = original.apply(this, args)
      members[name] = original // what the count itself calls does not count
      const own = cost(result, this instanceof RegExp ? args[0] : this, from)
      members[name] = counted
      steps += own
      return result
    }
    return () => {
      members[name] = original
    }
  }
}

function distance(found: unknown, text: unknown, from: unknown): number {
  return (Number(found) < 0 ? String(text).length : Number(found)) - Number(from ?? 0)
}

function countExec(result: unknown, text: unknown, from: unknown): number {
  const match = result as RegExpExecArray | null
  return (match === null ? String(text).length : match.index + match[0].length) - Number(from)
}
