/**
 * The rules of CONTRIBUTING.md that neither the compiler nor the linter can hold, each as a function from
 * sources to violations: floors, circles, sizes, doors, names, heads. `test/tidy.test.ts` applies them to the
 * repository and shows each one a violation it must find.
 */

import { posix } from 'node:path'
import { functionsOf, importsOf, lineAt, readSource, type SourceText } from './source-text.ts'

/** One file; `path` from the root of the repository with forward slashes. */
export interface Source extends SourceText {
  readonly path: string
}

/** `file:line: what is wrong` */
export type Violation = string

export const fileLinesMax = 300
export const functionLinesMax = 60
export const parametersMax = 3
export const headLinesMax = 8

/** Lowest first. An import goes to the same room or to a lower floor, never up and never sideways. */
const floors: readonly (readonly string[])[] = [
  ['ground'],
  ['event'],
  ['policy', 'chain'],
  ['spool'],
  ['postgres', 'clickhouse', 'archive', 'witness'],
  ['destination', 'verify'],
  ['forward'],
  ['otel'],
  ['audit'],
  ['instrument', 'cli'],
  ['index'],
]
const groundFiles = ['src/errors.ts', 'src/limits.ts', 'src/clock.ts']

/** What the whole program does in these places only. */
interface SingleDoor {
  readonly what: string
  readonly doors: readonly RegExp[]
  /** Lines on which a source does it. */
  readonly uses: (source: Source) => number[]
}

const sql =
  /\b(?:select\b[^;]*\bfrom\s+["\w]|insert\s+into\s|update\s+[\w."]+\s+set\s|delete\s+from\s|(?:create|alter|drop)\s+(?:table|schema|index)\s|copy\s+[\w.]+\s*\()/i

const singleDoors: readonly SingleDoor[] = [
  {
    what: 'the file system',
    doors: [
      /^src\/spool\/(files|lock|uncached)\.ts$/,
      /^src\/chain\/(keys|key-rotation)\.ts$/,
      /^src\/audit\/(local-files|reload-triggers|standard-error)\.ts$/,
      /^src\/postgres\/migrate\.ts$/,
      /^src\/verify\/sources[\w-]*\.ts$/,
      /^src\/(archive|witness)\/store\.ts$/,
      /^src\/witness\/anchor-places\.ts$/,
      /^src\/destination\/(file|file-append|file-series|file-tail|file-tending|stdout|credentials|optional-module)\.ts$/,
      /^src\/cli\//,
    ],
    uses: (source) => importLines(source, /^(?:node:)?fs(?:\/promises)?$/),
  },
  {
    what: 'the clock',
    doors: [/^src\/clock\.ts$/],
    uses: (source) => [
      ...codeLines(source, /\bDate\.now\b|(?<![.\w$])performance\s*\.|\bnew Date\(\s*\)|\bhrtime\b/g),
      ...importLines(source, /^(?:node:)?perf_hooks$/),
    ],
  },
  {
    what: 'the process and its console',
    // The lock writes the holder's pid into its file and asks which platform it is on.
    doors: [
      /^src\/(cli|audit)\//,
      /^src\/forward\/worker\.ts$/,
      /^src\/destination\/stdout\.ts$/,
      /^src\/spool\/lock\.ts$/,
    ],
    uses: (source) => [
      ...codeLines(source, /(?<![.\w$])(?:process|console)\s*(?:\.|\[|\?\.)|=\s*(?:process|console)\b/g),
      ...importLines(source, /^(?:node:)?(?:process|console)$/),
    ],
  },
  {
    what: 'SQL',
    doors: [/^src\/postgres\//, /^src\/clickhouse\/table\.ts$/],
    uses: ({ literals, text }) =>
      literals
        .filter(({ kind, start, end }) => kind !== 'comment' && sql.test(text.slice(start, end)))
        .map(({ start }) => lineAt(text, start)),
  },
]

const refusedNames = /^(?:utils?|helpers?|common|misc|shared|lib)$/
const kebabCase = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.ts$/

/** Heads that hold the drawing of a format or the steps of a protocol. */
const longHeads = new Set([
  'src/spool/format.ts',
  'src/spool/segment.ts',
  'src/spool/control.ts',
  'src/spool/recover.ts',
  'src/chain/note.ts',
  'src/chain/merkle.ts',
  'src/chain/checkpoint.ts',
  'src/chain/rotation.ts',
  'src/chain/cosignature.ts',
  'src/witness/witness.ts',
  'src/event/record.ts',
])

/** A path a person's machine would have and no other. Written so that this file does not match itself. */
const machinePath = new RegExp(`(?<![\\w.~})-])/(?:${['root\\b', 'work/', 'home/[a-z]', 'Users/[A-Za-z]'].join('|')})`)

export function sourceOf(path: string, text: string): Source {
  return { path, ...readSource(text) }
}

/** The room of a file in `src`; the ground files and the index are rooms of their own. */
export function roomOf(path: string): string {
  if (groundFiles.includes(path)) return 'ground'
  if (path === 'src/index.ts') return 'index'
  return path.split('/')[1] ?? ''
}

export function floorViolations(source: Source): Violation[] {
  const from = roomOf(source.path)
  const fromFloor = floorOf(from)
  if (fromFloor === -1) return [`${source.path}:1: ${from} is no room of the house`]
  return importsOf(source).flatMap(({ specifier, line }) => {
    if (!specifier.startsWith('.')) return []
    const path = targetOf(source.path, specifier)
    const to = roomOf(path)
    const isRoom = path.startsWith('src/') && floorOf(to) !== -1
    if (isRoom && (to === from ? from !== 'ground' : floorOf(to) < fromFloor)) return []
    return [`${source.path}:${line}: ${from} may not import ${path}; imports go down, and ground imports nothing`]
  })
}

export function circleViolations(sources: readonly Source[]): Violation[] {
  const edges = new Map(
    sources.map((source) => [source.path, importsOf(source).map(({ specifier }) => targetOf(source.path, specifier))]),
  )
  const finished = new Set<string>()
  const violations: Violation[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const seenAt = trail.indexOf(path)
    if (seenAt !== -1) violations.push(`${path}:1: circle ${[...trail.slice(seenAt), path].join(' → ')}`)
    if (seenAt !== -1 || finished.has(path)) return
    for (const target of edges.get(path) ?? []) visit(target, [...trail, path])
    finished.add(path)
  }
  for (const path of edges.keys()) visit(path, [])
  return violations
}

export function sizeViolations(source: Source): Violation[] {
  const { path, text } = source
  const lines = text.trimEnd().split('\n').length
  const violations = lines > fileLinesMax ? [`${path}:${lines}: ${lines} lines, at most ${fileLinesMax}`] : []
  for (const { name, line, lines, parameters } of functionsOf(source)) {
    if (lines > functionLinesMax)
      violations.push(`${path}:${line}: ${name} has ${lines} lines, at most ${functionLinesMax}`)
    if (parameters > parametersMax) {
      violations.push(`${path}:${line}: ${name} takes ${parameters} parameters, at most ${parametersMax}`)
    }
  }
  return violations
}

export function doorViolations(source: Source): Violation[] {
  return singleDoors
    .filter(({ doors }) => !doors.some((door) => door.test(source.path)))
    .flatMap(({ what, uses }) => uses(source).map((line) => `${source.path}:${line}: ${what} has doors of its own`))
}

export function nameViolations(path: string): Violation[] {
  const parts = path.split('/')
  const file = parts.at(-1) ?? ''
  const refused = [...parts.slice(1, -1), file.replace(/(?:\.test)?\.ts$/, '')].filter((part) =>
    refusedNames.test(part),
  )
  return [
    ...refused.map((part) => `${path}:1: ${part} says nothing about what it holds`),
    ...(kebabCase.test(file) ? [] : [`${path}:1: file names are kebab-case`]),
  ]
}

export function barrelViolations(source: Source): Violation[] {
  if (source.path === 'src/index.ts') return []
  return importsOf(source)
    .filter(({ reexport }) => reexport)
    .map(({ line }) => `${source.path}:${line}: only src/index.ts re-exports`)
}

export function headViolations({ path, text, literals }: Source): Violation[] {
  const head = literals[0]
  const shebang = text.startsWith('#!') ? text.indexOf('\n') + 1 : 0
  if (head === undefined || head.start !== shebang || !text.startsWith('/**', shebang)) {
    return [`${path}:1: begins with a comment that says what the file owns and what always holds`]
  }
  const lines = text
    .slice(head.start, head.end)
    .split('\n')
    .filter((line) => /[\p{L}\p{N}]/u.test(line)).length
  if (lines <= headLinesMax || longHeads.has(path)) return []
  return [`${path}:1: the head has ${lines} lines, at most ${headLinesMax}; only formats may have more`]
}

/** For any tracked text file: nobody else's machine has these folders. */
export function machinePathViolations(path: string, text: string): Violation[] {
  return text
    .split('\n')
    .flatMap((line, index) => (machinePath.test(line) ? [`${path}:${index + 1}: names a folder of one machine`] : []))
}

function floorOf(room: string): number {
  return floors.findIndex((rooms) => rooms.includes(room))
}

function targetOf(path: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier
}

function codeLines({ code }: Source, pattern: RegExp): number[] {
  return [...code.matchAll(pattern)].map(({ index }) => lineAt(code, index))
}

function importLines(source: Source, specifiers: RegExp): number[] {
  return importsOf(source)
    .filter(({ specifier }) => specifiers.test(specifier))
    .map(({ line }) => line)
}
