/**
 * Reads the environment by the table of variables: each text becomes the value of its setting, or a problem with the
 * variable's name. A setting has one value: two names for it must agree. Secrets also come from the file that `NAME_FILE`
 * names. Names that begin with `AUDIT_` and mean nothing are remarked on, because a typing error must not stay silent.
 */

import { readSecretFile } from './local-files.ts'
import { nearest } from './nearest.ts'
import { allowedBy, type Problem, problemOf, problemsOf } from './problem.ts'
import type { Form, Setting } from './settings.ts'
import { environmentSettings, knownNames, namesOf, type Variable, variables } from './variables.ts'

/** A value and the variable it came from. */
export interface GivenVariable {
  readonly name: string
  readonly value: unknown
}

export interface EnvironmentReading {
  /** Of options, by path. */
  readonly options: ReadonlyMap<string, GivenVariable>
  /** Of what only the environment has, by name. */
  readonly own: ReadonlyMap<string, GivenVariable>
  readonly problems: readonly Problem[]
  /** What to say once at start. */
  readonly remarks: readonly string[]
}

export function readEnvironment(environment: NodeJS.ProcessEnv): EnvironmentReading {
  const problems: Problem[] = []
  const given = new Map<string, GivenVariable>()
  for (const variable of variables) {
    const read = readVariable(variable, environment)
    if (read === undefined) continue
    if ('problem' in read) problems.push(read.problem)
    else {
      const problem = keepGiven(given, variable.setting, read)
      if (problem !== undefined) problems.push(problem)
    }
  }
  const isOwn = new Set(environmentSettings.map(({ path }) => path))
  const split = (own: boolean) => new Map([...given].filter(([path]) => isOwn.has(path) === own))
  return { options: split(false), own: split(true), problems, remarks: remarkUnknown(environment) }
}

/** Two names of one setting may both be set as long as they say the same. */
function keepGiven(given: Map<string, GivenVariable>, setting: Setting, read: GivenVariable): Problem | undefined {
  const before = given.get(setting.path)
  given.set(setting.path, before ?? read)
  if (before === undefined || JSON.stringify(before.value) === JSON.stringify(read.value)) return undefined
  return {
    setting: read.name,
    message: `${before.name} and ${read.name} set the same (${setting.path}) to different values`,
    hint: `Set one of them: ${namesOf(setting.path).join(', ')}.`,
  }
}

function readVariable(
  { name, setting }: Variable,
  environment: NodeJS.ProcessEnv,
): GivenVariable | { readonly problem: Problem } | undefined {
  const text = environment[name]
  const fileName = `${name}_FILE`
  const isFileOfItsOwn = variables.some((one) => one.name === fileName)
  const file = setting.note.isSecret === true && !isFileOfItsOwn ? environment[fileName] : undefined
  if (file === undefined) return text === undefined ? undefined : readText(name, setting, text)
  if (text !== undefined) return { problem: bothSet(name, fileName) }
  const secret = readSecretFile(file, fileName)
  return 'problem' in secret ? secret : readText(name, setting, secret.value)
}

/** A secret is given as text or by its file, not both. */
export function bothSet(name: string, fileName: string): Problem {
  return {
    setting: fileName,
    message: `${name} and ${fileName} are both set; allowed: one of them`,
    hint: `Leave out ${name}: a file is harder to leak than a value.`,
  }
}

function readText(name: string, setting: Setting, text: string): GivenVariable | { readonly problem: Problem } {
  const { schema, form, note } = setting
  const isSecret = note.isSecret === true
  const wrong = (allowed: string) => {
    return { problem: problemOf({ setting: name, value: text, allowed, isSecret, hint: hintFor(name, setting) }) }
  }
  const value = text.trim() === '' ? undefined : parseText(text, form)
  if (value === undefined) return wrong(allowedText(setting))
  const [issue] = schema.safeParse(value).error?.issues ?? []
  if (issue === undefined) return { name, value }
  if (issue.path.length === 0) return wrong(allowedText(setting, issue))
  const [problem] = problemsOf([issue], value, (path) => `${name}${path.startsWith('[') ? '' : '.'}${path}`)
  return problem === undefined ? wrong(allowedText(setting)) : { problem: { ...problem, hint: hintFor(name, setting) } }
}

function allowedText(setting: Setting, issue?: Parameters<typeof allowedBy>[0]): string {
  if (setting.form === 'boolean') return [...trueWords, ...falseWords].join(', ')
  const allowed = issue === undefined ? setting.allowed : allowedBy(issue, setting.path)
  if (setting.form === 'list') return `${allowed}, separated by commas`
  return setting.form === 'json' ? `${allowed} as JSON` : allowed.replaceAll('"', '')
}

function hintFor(name: string, { note, byDefault }: Setting): string {
  const otherwise = note.otherwise ?? (byDefault === undefined ? 'none' : formatText(byDefault))
  return `For example ${name}=${note.isSecret === true ? '…' : note.example}; without the variable: ${otherwise === '' ? 'none' : otherwise}.`
}

/** How a value is written in the environment. */
export function formatText(value: unknown): string {
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value.join(',')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

export const trueWords = ['true', '1', 'yes', 'on']
export const falseWords = ['false', '0', 'no', 'off']

/** `undefined` where the text is none of this form. */
function parseText(text: string, form: Form): unknown {
  const trimmed = text.trim()
  switch (form) {
    case 'text':
      return text
    case 'whole number':
    case 'number':
      return /^[+-]?\d+(?:\.\d+)?$/.test(trimmed) ? Number(trimmed) : undefined
    case 'boolean':
      return parseBoolean(trimmed.toLowerCase())
    case 'list':
      return trimmed.split(',').map((one) => one.trim())
    case 'json':
      return parseJson(trimmed)
  }
}

function parseBoolean(word: string): boolean | undefined {
  if (trueWords.includes(word)) return true
  return falseWords.includes(word) ? false : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // what is wrong with it could quote a secret
  }
}

function remarkUnknown(environment: NodeJS.ProcessEnv): string[] {
  const unknown = Object.keys(environment).filter((name) => name.startsWith('AUDIT_') && !knownNames.has(name))
  return unknown.sort().map((name) => {
    const meant = nearest(name, [...knownNames])
    return `${name} is set, but there is no such setting${meant === undefined ? '' : `; did you mean ${meant}?`}`
  })
}
