/**
 * Reads TypeScript as text, well enough for the tidy test (TypeScript 7 ships no compiler API): which stretches
 * are comments, strings, templates and regular expressions, what a file imports, where its functions begin and end.
 * Always holds: `code` has the length and the line breaks of `text`, so that an offset means the same in both.
 * It does not understand JSX, nor a regular expression directly after a closing brace.
 */

export type LiteralKind = 'comment' | 'string' | 'template' | 'regex'

/** A stretch of the text that is not code, `[start, end)`: comments with their delimiters, the rest without. */
export interface Literal {
  readonly kind: LiteralKind
  readonly start: number
  readonly end: number
}

export interface SourceText {
  readonly text: string
  /** `text` with the inside of every literal blanked. */
  readonly code: string
  readonly literals: readonly Literal[]
}

export interface SourceFunction {
  readonly name: string
  readonly line: number
  readonly lines: number
  readonly parameters: number
}

export interface SourceImport {
  readonly specifier: string
  readonly line: number
  /** `export … from`, which makes the file a barrel. */
  readonly reexport: boolean
}

/** Words after which a slash begins a regular expression instead of dividing. */
const wordsBeforeRegex = /\b(?:return|typeof|case|in|of|do|else|void|delete|throw|new|instanceof|await|yield)$/
const controlWords = /\b(?:if|for|for\s+await|while|switch|catch|with)$/
const keywords = /^(?:function|async|return|await|typeof|case|throw|of|in|void|default|new|yield|else|do)$/

/** The line, counting from 1, that holds an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line += 1
  return line
}

/** Splits a text into code and literals. Never throws: an unterminated literal ends with the text. */
export function readSource(text: string): SourceText {
  const literals: Literal[] = []
  // Each open `${` keeps the number of braces open inside it; the template goes on at the brace that closes it.
  const substitutions: number[] = []
  let at = text.startsWith('#!') ? orEnd(text.indexOf('\n'), text) : 0
  let lastSignificant = ''
  let codeStart = 0

  const take = (kind: LiteralKind, start: number, end: number, after: number): void => {
    literals.push({ kind, start, end })
    at = after
    if (kind === 'comment') return
    lastSignificant = '"'
    codeStart = after
  }
  const takeTemplate = (start: number): void => {
    const { end, after, opensSubstitution } = templateEnd(text, start)
    take('template', start, end, after)
    if (!opensSubstitution) return
    substitutions.push(0)
    lastSignificant = '{'
  }

  while (at < text.length) {
    const two = text.slice(at, at + 2)
    const one = text.charAt(at)
    if (two === '//' || two === '/*') {
      const end = commentEnd(text, at)
      take('comment', at, end, end)
    } else if (one === "'" || one === '"') {
      const end = stringEnd(text, at + 1, one)
      take('string', at + 1, end, end + 1)
    } else if (one === '`') takeTemplate(at + 1)
    else if (one === '}' && substitutions.at(-1) === 0) {
      substitutions.pop()
      takeTemplate(at + 1)
    } else if (one === '/' && regexMayBegin(lastSignificant, text.slice(codeStart, at))) {
      const end = regexEnd(text, at + 1)
      take('regex', at + 1, end, end + 1)
    } else {
      const depth = substitutions.length - 1
      if (one === '{' && depth >= 0) substitutions[depth] = (substitutions[depth] ?? 0) + 1
      if (one === '}' && depth >= 0) substitutions[depth] = (substitutions[depth] ?? 0) - 1
      if (one.trim() !== '') lastSignificant = one
      at += 1
    }
  }
  return { text, code: blank(text, literals), literals }
}

/** Every static and dynamic import and every `export … from` with a literal specifier. */
export function importsOf({ text, code }: SourceText): SourceImport[] {
  const imports: SourceImport[] = []
  for (const match of code.matchAll(/(?<![.\w$])(?:from\s*|import\s*\(?\s*)(['"])/g)) {
    const start = match.index + match[0].length
    const specifier = text.slice(start, text.indexOf(match[1] ?? "'", start))
    const statement = code.slice(0, match.index).search(/\b(?:import|export)\b[^;'"`()=]*$/)
    const reexport = match[0].startsWith('from') && code.startsWith('export', statement)
    imports.push({ specifier, line: lineAt(text, start), reexport })
  }
  return imports
}

/** Every function with a body: declarations, methods, accessors and arrows, nested ones included. */
export function functionsOf({ code }: SourceText): SourceFunction[] {
  const functions: SourceFunction[] = []
  for (let open = code.indexOf('('); open !== -1; open = code.indexOf('(', open + 1)) {
    const before = code.slice(Math.max(0, open - 80), open).trimEnd()
    if (controlWords.test(before)) continue
    const close = closingBracket(code, open)
    const body = bodyAfterParameters(code, close + 1)
    if (body === undefined) continue
    const first = lineAt(code, open)
    functions.push({
      name: nameBefore(before),
      line: first,
      lines: lineAt(code, closingBracket(code, body)) - first + 1,
      parameters: parameterCount(code.slice(open + 1, close)),
    })
  }
  return functions
}

/** The words that end just before a parameter list: `name`, `name<T>`, `const name = async`. */
function nameBefore(before: string): string {
  const match = /(#?[\w$]+)\s*(?:<[^<>]*>)?\s*(?:=\s*(?:async)?|:\s*(?:async)?)?$/.exec(before)
  const name = match?.[1]
  return name === undefined || keywords.test(name) ? '(anonymous)' : name
}

/**
 * Offset of the bracket that opens a function's body, when what follows a closing parenthesis makes it one:
 * `{`, `: Type {`, `=> {`, or an arrow whose expression is itself bracketed.
 */
function bodyAfterParameters(code: string, from: number): number | undefined {
  let at = skipSpace(code, from)
  if (code.charAt(at) === ':') at = typeEnd(code, at + 1)
  if (code.startsWith('=>', at)) {
    at = skipSpace(code, at + 2)
    return '{(['.includes(code.charAt(at)) && at < code.length ? at : undefined
  }
  return code.charAt(at) === '{' ? at : undefined
}

/**
 * Where a return type ends: at the body's brace or the arrow. Brackets are skipped whole; a brace where an
 * operand is still expected belongs to the type. What is not a type (a ternary, a case label) ends anywhere else.
 */
function typeEnd(code: string, from: number): number {
  let at = skipSpace(code, from)
  let expectsOperand = true
  while (at < code.length) {
    const one = code.charAt(at)
    if (expectsOperand ? '([{<'.includes(one) : '[<'.includes(one)) {
      at = closingBracket(code, at) + 1
      expectsOperand = false
    } else if (code.startsWith('=>', at)) {
      // `(a: A) => B` inside a type needs parentheses of its own there, so a bare arrow is the function's.
      return at
    } else if ('|&.?'.includes(one)) {
      at += 1
      expectsOperand = true
    } else if (expectsOperand && /["'`]/.test(one)) {
      at = code.indexOf(one, at + 1) + 1
      expectsOperand = false
    } else {
      const word = /^[\w$]+/.exec(code.slice(at, at + 200))?.[0]
      if (word === undefined || (!expectsOperand && word !== 'is' && word !== 'extends')) return at
      at += word.length
      expectsOperand = /^(?:is|asserts|keyof|typeof|readonly|infer|unique|extends)$/.test(word)
    }
    at = skipSpace(code, at)
  }
  return at
}

/** Parameters of a list: commas at depth zero, a trailing one not counted, `this: T` not counted. */
function parameterCount(list: string): number {
  let depth = 0
  let commas = 0
  let sinceComma = ''
  for (let at = 0; at < list.length; at += 1) {
    const one = list.charAt(at)
    if ('([{<'.includes(one)) depth += 1
    // The `>` of an arrow closes nothing.
    else if (')]}>'.includes(one) && !(one === '>' && list.charAt(at - 1) === '=')) depth -= 1
    if (one === ',' && depth === 0) {
      commas += 1
      sinceComma = ''
    } else sinceComma += one
  }
  const count = commas + (sinceComma.trim() === '' ? 0 : 1)
  return /^\s*this\s*:/.test(list) ? count - 1 : count
}

/** Offset of the bracket that closes the one at `open`; the last offset when none does. */
function closingBracket(code: string, open: number): number {
  const opening = code.charAt(open)
  const closing = { '(': ')', '[': ']', '{': '}', '<': '>' }[opening]
  let depth = 0
  for (let at = open; at < code.length; at += 1) {
    const one = code.charAt(at)
    if (one === opening) depth += 1
    else if (one === closing && !(one === '>' && code.charAt(at - 1) === '=')) {
      depth -= 1
      if (depth === 0) return at
    }
  }
  return code.length - 1
}

function skipSpace(code: string, from: number): number {
  let at = from
  while (at < code.length && /\s/.test(code.charAt(at))) at += 1
  return at
}

/** A slash divides after an operand and begins a regular expression everywhere else. */
function regexMayBegin(lastSignificant: string, codeBefore: string): boolean {
  if (lastSignificant === '') return true
  if (!/[\w$)\]}"]/.test(lastSignificant)) return true
  return /\w/.test(lastSignificant) && wordsBeforeRegex.test(codeBefore.trimEnd())
}

function regexEnd(text: string, from: number): number {
  let inClass = false
  for (let at = from; at < text.length; at += 1) {
    const one = text.charAt(at)
    if (one === '\\') at += 1
    else if (one === '\n') return at
    else if (one === '[') inClass = true
    else if (one === ']') inClass = false
    else if (one === '/' && !inClass) return at
  }
  return text.length
}

function stringEnd(text: string, from: number, quote: string): number {
  for (let at = from; at < text.length; at += 1) {
    const one = text.charAt(at)
    if (one === '\\') at += 1
    else if (one === quote || one === '\n') return at
  }
  return text.length
}

function templateEnd(text: string, from: number): { end: number; after: number; opensSubstitution: boolean } {
  for (let at = from; at < text.length; at += 1) {
    const one = text.charAt(at)
    if (one === '\\') at += 1
    else if (one === '`') return { end: at, after: at + 1, opensSubstitution: false }
    else if (one === '$' && text.charAt(at + 1) === '{') return { end: at, after: at + 2, opensSubstitution: true }
  }
  return { end: text.length, after: text.length, opensSubstitution: false }
}

function blank(text: string, literals: readonly Literal[]): string {
  let code = ''
  let from = 0
  for (const { start, end } of literals) {
    code += text.slice(from, start) + text.slice(start, end).replace(/[^\n]/g, ' ')
    from = end
  }
  return code + text.slice(from)
}

function commentEnd(text: string, from: number): number {
  const closing = text.startsWith('//', from) ? '\n' : '*/'
  const found = orEnd(text.indexOf(closing, from + 2), text)
  return closing === '\n' ? found : Math.min(found + closing.length, text.length)
}

function orEnd(found: number, text: string): number {
  return found === -1 ? text.length : found
}
