/**
 * Whether a user's pattern is safe: whether the search for it takes linear time in any text. Conservative: what is not
 * shown to be safe is refused, with the part at fault. Shown as follows: a repetition without bound is of one character
 * class, and either stands last, where what it has walked becomes the match, or is held on both sides by what it cannot
 * walk over itself, so that no two attempts walk the same stretch; all else is bounded, and so is the number of
 * steps at each place, counted with every choice that may have to be taken back.
 */

import { type AST, RegExpParser } from '@eslint-community/regexpp'
import {
  type CharacterSet,
  charactersOf,
  emptySet,
  everything,
  intersects,
  isWithin,
  nonWords,
  union,
  words,
} from './character-set.ts'

/** Steps that an attempt at one place of a text may take. */
export const patternStepsMax = 1_000
export const patternLengthMax = 1_000

/** The part of a pattern for which it is refused, and why. */
export interface PatternFault {
  readonly part: string
  readonly reason: string
  readonly remedy: string
}

/** What may come behind a part of a pattern. */
interface Continuation {
  readonly first: CharacterSet
  /** False where nothing more is asked: then the first way to get there is the match. */
  readonly canFail: boolean
  /** Whether the text in question is only looked at (lookaround), so that matching it does not use it up. */
  readonly isLook: boolean
}

/** In how many ways a part can match at one place, and in how many steps all of them are found. */
interface Cost {
  readonly ways: number
  readonly steps: number
}

/** Thrown within this file only. */
class Unsafe extends Error {
  readonly fault: PatternFault

  constructor(node: { readonly raw: string }, reason: string, remedy: string) {
    super(reason)
    this.fault = { part: node.raw, reason, remedy }
  }
}

/** The fault of a pattern; `undefined` for a safe one. It is read with the flag `u`, and `i` when cases are alike. */
export function findFault(pattern: string, ignoreCase = false): PatternFault | undefined {
  if (pattern.length > patternLengthMax) {
    return {
      part: `${pattern.slice(0, 20)}…`,
      reason: `it is longer than ${patternLengthMax} characters`,
      remedy: 'make several rules of it',
    }
  }
  try {
    new RegExp(pattern, ignoreCase ? 'giu' : 'gu')
    const tree = new RegExpParser({ ecmaVersion: 2025 }).parsePattern(pattern, 0, pattern.length, { unicode: true })
    checkPattern(tree, ignoreCase)
    return undefined
  } catch (thrown) {
    if (thrown instanceof Unsafe) return thrown.fault
    const reason = thrown instanceof Error ? thrown.message : 'it cannot be read'
    return { part: pattern, reason, remedy: 'patterns are JavaScript regular expressions with the flag u' }
  }
}

function checkPattern(tree: AST.Pattern, ignoreCase: boolean): void {
  if (tree.alternatives.some((alternative) => lengthMin(alternative.elements) === 0)) {
    throw new Unsafe(tree, 'it matches the empty text', 'let it need at least one character')
  }
  const analysis = new Analysis(ignoreCase)
  const { steps } = analysis.costOfAlternatives(tree.alternatives, { first: everything, canFail: false, isLook: false })
  if (steps <= patternStepsMax) return
  throw new Unsafe(
    analysis.costliest ?? tree,
    `it may take ${Math.min(steps, 1e15)} steps at one place of a text, at most ${patternStepsMax}`,
    'lower the bounds of its repetitions, or let a character follow that they do not hold',
  )
}

/** One walk over a pattern, from the end of each sequence to its beginning. */
class Analysis {
  readonly #ignoreCase: boolean
  readonly #sets = new Map<string, CharacterSet>()
  #mostWays = 1
  /** The repetition with the most ways. */
  costliest: AST.Quantifier | undefined

  constructor(ignoreCase: boolean) {
    this.#ignoreCase = ignoreCase
  }

  costOfAlternatives(alternatives: readonly AST.Alternative[], after: Continuation): Cost {
    const costs = alternatives.map((alternative) => this.#costOfSequence(alternative.elements, after))
    const firsts = alternatives.map((alternative) => this.#firstOfSequence(alternative.elements, after.first))
    const steps = costs.reduce((sum, cost) => sum + cost.steps, 0)
    const areApart = firsts.every((first, index) => firsts.slice(index + 1).every((other) => !intersects(first, other)))
    const ways = costs.map((cost) => cost.ways)
    return { steps, ways: areApart ? Math.max(...ways) : ways.reduce((sum, count) => sum + count, 0) }
  }

  #costOfSequence(elements: readonly AST.Element[], after: Continuation): Cost {
    let continuation = after
    let cost: Cost = { ways: 1, steps: 1 }
    for (let index = elements.length - 1; index >= 0; index--) {
      const element = elements[index] as AST.Element
      const own = this.#costOf(element, { after: continuation, before: elements[index - 1] })
      cost = { ways: own.ways * cost.ways, steps: own.steps + own.ways * cost.steps }
      continuation = {
        ...continuation,
        first: this.#firstOf(element, continuation.first),
        canFail: continuation.canFail || canFail(element),
      }
    }
    return cost
  }

  #costOf(element: AST.Element, around: Around): Cost {
    switch (element.type) {
      case 'Backreference':
        throw new Unsafe(element, 'it refers back to what was matched', 'write the expected text instead')
      case 'Group':
      case 'CapturingGroup':
        return this.costOfAlternatives(element.alternatives, around.after)
      case 'Quantifier':
        return this.#costOfQuantifier(element, around)
      case 'Assertion': {
        if (element.kind !== 'lookahead' && element.kind !== 'lookbehind') return { ways: 1, steps: 1 }
        const looked = { first: everything, canFail: true, isLook: true }
        return { ways: 1, steps: this.costOfAlternatives(element.alternatives, looked).steps }
      }
      default:
        return { ways: 1, steps: 1 }
    }
  }

  #costOfQuantifier(quantifier: AST.Quantifier, around: Around): Cost {
    const { element, min, max } = quantifier
    const first = this.#firstOf(element, emptySet)
    if (max === Number.POSITIVE_INFINITY) return this.#costOfUnbounded(quantifier, { ...around, first })
    const inner = this.#costOf(element, {
      after: { ...around.after, first: union(first, around.after.first), canFail: true },
      before: undefined,
    })
    const isDecided = !around.after.canFail || !intersects(first, this.#realFirst(first, around.after.first))
    if (inner.ways === 1 && isDecided) return { ways: 1, steps: inner.steps * max + 1 }
    let [ways, steps, power] = [0, 1, 1]
    for (let count = 0; count <= max && ways <= 1e15; count++) {
      if (count >= min) ways += power
      if (count < max) steps += power * inner.steps
      power *= inner.ways
    }
    if (ways > this.#mostWays) [this.#mostWays, this.costliest] = [ways, quantifier]
    return { ways, steps }
  }

  #costOfUnbounded(
    quantifier: AST.Quantifier,
    { before, after, first }: Around & { readonly first: CharacterSet },
  ): Cost {
    const { element, min } = quantifier
    const remedy = 'give it an upper bound, such as {1,64}'
    if (lengthMin([element]) !== 1 || !isOneCharacter(element)) {
      throw new Unsafe(quantifier, 'it repeats without bound what is more than one character', remedy)
    }
    if (after.isLook) throw new Unsafe(quantifier, 'it looks ahead or back without bound', remedy)
    if (after.canFail) {
      if (intersects(first, this.#realFirst(first, after.first))) {
        throw new Unsafe(
          quantifier,
          'it repeats without bound, and what follows may begin with the same characters',
          remedy,
        )
      }
      if (!this.#isHeld(before, first)) {
        throw new Unsafe(
          quantifier,
          'it repeats without bound, may then fail, and can be begun anywhere within itself',
          remedy,
        )
      }
    }
    return { ways: 1, steps: min + 2 }
  }

  /** Behind a word boundary, at which a repetition of word characters can only have ended, no such character follows. */
  #realFirst(repeated: CharacterSet, following: CharacterSet): CharacterSet {
    return following === atBoundary ? (isWithin(repeated, words) ? nonWords : everything) : following
  }

  /** Whether what stands before a repetition cannot stand within it. */
  #isHeld(before: AST.Element | undefined, repeated: CharacterSet): boolean {
    if (before === undefined) return false
    if (before.type === 'Assertion') {
      return before.kind === 'start' || (before.kind === 'word' && !before.negate && isWithin(repeated, words))
    }
    return isOneCharacter(before) && !intersects(this.#firstOf(before, emptySet), repeated)
  }

  #firstOfSequence(elements: readonly AST.Element[], after: CharacterSet): CharacterSet {
    return elements.reduceRight((first, element) => this.#firstOf(element, first), after)
  }

  /** With what a part and what follows it may begin. */
  #firstOf(element: AST.Element | AST.QuantifiableElement, after: CharacterSet): CharacterSet {
    switch (element.type) {
      case 'Group':
      case 'CapturingGroup':
        return element.alternatives
          .map((alternative) => this.#firstOfSequence(alternative.elements, after))
          .reduce(union, emptySet)
      case 'Quantifier': {
        const first = this.#firstOf(element.element, element.min === 0 ? emptySet : after)
        return element.min === 0 ? union(first, after) : first
      }
      case 'Assertion':
        if (element.kind === 'end') return emptySet
        return element.kind === 'word' && !element.negate ? atBoundary : everything
      case 'Character':
      case 'CharacterClass':
      case 'CharacterSet':
        return this.#setOf(element)
      default:
        return everything
    }
  }

  #setOf(element: AST.Character | AST.CharacterClass | AST.CharacterSet): CharacterSet {
    const known = this.#sets.get(element.raw)
    if (known !== undefined) return known
    const set = charactersOf(element.raw, this.#ignoreCase)
    this.#sets.set(element.raw, set)
    return set
  }
}

interface Around {
  readonly before: AST.Element | undefined
  readonly after: Continuation
}

/** Stands for what may follow a word boundary, which depends on what stood before it. */
const atBoundary: CharacterSet = Uint8Array.from(everything)

function isOneCharacter(element: AST.Element | AST.QuantifiableElement): boolean {
  return element.type === 'Character' || element.type === 'CharacterClass' || element.type === 'CharacterSet'
}

/** Whether a part may refuse a text at all. */
function canFail(element: AST.Element): boolean {
  return !(element.type === 'Quantifier' && element.min === 0)
}

function lengthMin(elements: readonly (AST.Element | AST.QuantifiableElement)[]): number {
  return elements.reduce((sum, element) => sum + lengthMinOf(element), 0)
}

function lengthMinOf(element: AST.Element | AST.QuantifiableElement): number {
  switch (element.type) {
    case 'Assertion':
    case 'Backreference':
      return 0
    case 'Quantifier':
      return element.min * lengthMinOf(element.element)
    case 'Group':
    case 'CapturingGroup':
      return Math.min(...element.alternatives.map((alternative) => lengthMin(alternative.elements)))
    default:
      return 1
  }
}
