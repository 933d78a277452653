/**
 * What a command is, and how it reads its options. A command writes only to the streams it is handed, and throws
 * `AuditError` for what the user can mend; `main.ts` turns that into text and exit code 2.
 * Exit codes: 0 done · 1 findings · 2 could not.
 */

import { type ParseArgsConfig, parseArgs } from 'node:util'
import { nearest } from '../audit/nearest.ts'
import { AuditError, errorCode, errorText } from '../errors.ts'

/** A command of `otel-audit`. A file of this folder exports it as `command`. */
export interface Command {
  /** The word or two words that call it: `verify`, `key new`. */
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** Usage, options and examples, as `--help` prints them. */
  readonly help: string
  /** Runs with the arguments behind the name; the exit code. */
  run(argv: readonly string[], io: CommandIo): Promise<number>
}

/** Commands that share their first word: `key new`, `key public`. Exported as `command` like a single one. */
export interface CommandGroup {
  readonly name: string
  readonly summary: string
  readonly commands: readonly Command[]
}

/** The world of a command. Results go to `stdout`, everything else (progress, notes) to `stderr`. */
export interface CommandIo {
  readonly stdout: TextStream
  readonly stderr: TextStream
  readonly env: NodeJS.ProcessEnv
}

export interface TextStream {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
}

/** `parseArgs` of `node:util`, strict, whose complaints become `INVALID_OPTION` naming the option. */
export function parseOptions<const T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config)
  } catch (thrown) {
    throw optionError(thrown, Object.keys(config.options ?? {}))
  }
}

/** The value of an option or argument that must be there; `INVALID_OPTION` names it otherwise. */
export function requireOption(value: string | undefined, setting: string): string {
  if (value !== undefined && value !== '') return value
  throw new AuditError('INVALID_OPTION', `${setting} is missing`, { setting, hint: seeHelp })
}

const seeHelp = 'run the command with --help for its options and examples'

function optionError(cause: unknown, options: readonly string[]): unknown {
  const text = errorText(cause)
  const setting = /'(-[^' ,]*|[^']*)/.exec(text)?.[1] ?? 'arguments'
  const refuse = (message: string, hint = seeHelp): AuditError =>
    new AuditError('INVALID_OPTION', message, { setting, hint, cause })
  switch (errorCode(cause)) {
    case 'ERR_PARSE_ARGS_UNKNOWN_OPTION': {
      const known = nearest(setting.replace(/^-+/, ''), options)
      return refuse(`unknown option ${setting}`, known === undefined ? seeHelp : `did you mean --${known}?`)
    }
    case 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL':
      return refuse(`unexpected argument ${setting}`)
    case 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE':
      return text.includes('does not take')
        ? refuse(`${setting} takes no value`)
        : refuse(`${setting} needs a value`, `write ${setting}=VALUE when the value begins with a dash`)
    default:
      return cause
  }
}
