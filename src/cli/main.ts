#!/usr/bin/env node
/**
 * `otel-audit`: finds the command, runs it, and turns whatever it throws into words and exit code 2.
 * No stack trace reaches the user unless OTEL_AUDIT_DEBUG is set. Commands are loaded only when called.
 */

import { readFileSync } from 'node:fs'
import process from 'node:process'
import { inspect } from 'node:util'
import { nearest } from '../audit/nearest.ts'
import { AuditError, errorText } from '../errors.ts'
import type { Command, CommandGroup, CommandIo } from './command.ts'
import { commands } from './commands.ts'

type Summary = Pick<Command, 'name' | 'summary'>

async function main(argv: readonly string[], io: CommandIo): Promise<number> {
  const words = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv
  const [first, ...rest] = words
  if (first === '--version') return show(io.stdout, `${readVersion()}\n`)
  if (first === undefined) return refuse(overview(), io)
  if (isHelp(first)) return show(io.stdout, overview())
  const row = commands.find(({ name }) => name === first)
  if (row === undefined) throw unknownCommand(first, commands)
  const { command } = await row.load()
  return 'commands' in command ? runOfGroup(command, rest, io) : runOrHelp(command, rest, io)
}

async function runOfGroup(group: CommandGroup, argv: readonly string[], io: CommandIo): Promise<number> {
  const [word, ...rest] = argv
  if (word === undefined) return refuse(groupHelp(group), io)
  if (isHelp(word)) return show(io.stdout, groupHelp(group))
  const name = `${group.name} ${word}`
  const command = group.commands.find((candidate) => candidate.name === name)
  if (command === undefined) throw unknownCommand(name, group.commands)
  return runOrHelp(command, rest, io)
}

async function runOrHelp(command: Command, argv: readonly string[], io: CommandIo): Promise<number> {
  const end = argv.indexOf('--')
  const asksForHelp = argv.slice(0, end < 0 ? argv.length : end).some(isHelp)
  return asksForHelp ? show(io.stdout, command.help) : command.run(argv, io)
}

function isHelp(word: string): boolean {
  return word === '--help' || word === '-h'
}

function show(stream: CommandIo['stdout'], text: string): number {
  stream.write(text)
  return 0
}

/** Called with too few words: the help goes where errors go. */
function refuse(help: string, io: CommandIo): number {
  io.stderr.write(help)
  return 2
}

function overview(): string {
  return `otel-audit: audit events you can prove

Usage: otel-audit COMMAND [OPTIONS]

Commands:
${listOf(commands)}
  --version  print the version

Every command takes --help (with examples), and --json for output that programs read.
Exit codes: 0 done, 1 findings, 2 could not.
`
}

function groupHelp(group: CommandGroup): string {
  return group.commands.map(({ help }) => help).join('\n')
}

function listOf(rows: readonly Summary[]): string {
  const width = Math.max('--version'.length, ...rows.map(({ name }) => name.length))
  return rows.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`).join('\n')
}

function unknownCommand(name: string, known: readonly Summary[]): AuditError {
  const names = known.map((row) => row.name)
  const meant = nearest(name, names)
  return new AuditError('INVALID_OPTION', `unknown command ${JSON.stringify(name)}`, {
    setting: 'COMMAND',
    hint: meant === undefined ? `the commands are: ${names.join(', ')}` : `did you mean: otel-audit ${meant}`,
  })
}

function readVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return (manifest as { version: string }).version
}

function describe(thrown: unknown, env: NodeJS.ProcessEnv): string {
  const trace = env.OTEL_AUDIT_DEBUG ? `${inspect(thrown)}\n` : ''
  if (thrown instanceof AuditError) return `otel-audit: ${thrown.message}\n  hint: ${thrown.hint}\n${trace}`
  return `otel-audit: ${errorText(thrown)}\n  hint: this is a defect; OTEL_AUDIT_DEBUG=1 shows where\n${trace}`
}

// A reader that left (`| head`) is no defect, and what it did not read was not said: could not.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.stderr.write(describe(error, process.env))
  process.exit(2)
})

main(process.argv.slice(2), process).then(
  (exitCode) => {
    process.exitCode = exitCode
  },
  (thrown: unknown) => {
    process.stderr.write(describe(thrown, process.env))
    process.exitCode = 2
  },
)
