/**
 * `otel-audit schema`: prints the schema document for compliance reviewers. Loads the module of a catalogue when one is
 * named, which runs that module; nothing else is read and nothing is written.
 */

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { AuditError, errorText } from '../errors.ts'
import { type Catalogue, isCatalogue } from '../event/catalogue.ts'
import { type Command, type CommandIo, parseOptions } from './command.ts'
import { describeSchema, printSchema } from './schema-document.ts'

export const command: Command = {
  name: 'schema',
  summary: 'print what stands in every record, for those who review the trail',
  help: `Usage: otel-audit schema [--catalogue MODULE] [--format markdown|json-schema]

Prints the versioned schema of the records: every member, every type of control record and, with --catalogue, the
actions of your application with their versions. Markdown to be read, or JSON Schema (draft 2020-12) for programs.

Options:
  --catalogue MODULE  a file or package that exports a catalogue of defineActions, under any name; it is run
  --format FORMAT     markdown (default) or json-schema
  --json              the same as --format json-schema
  -h, --help          show this

Examples:
  otel-audit schema > audit-schema.md
  otel-audit schema --catalogue ./dist/actions.js > audit-schema.md
  otel-audit schema --catalogue ./src/actions.ts --json
`,
  run,
}

const formats = ['markdown', 'json-schema'] as const

async function run(argv: readonly string[], io: CommandIo): Promise<number> {
  const options = {
    catalogue: { type: 'string' },
    format: { type: 'string' },
    json: { type: 'boolean', default: false },
  } as const
  const { values } = parseOptions({ args: [...argv], options })
  const format = readFormat(values.format, values.json)
  const catalogue = values.catalogue === undefined ? undefined : await loadCatalogue(values.catalogue)
  io.stdout.write(format === 'markdown' ? describeSchema(catalogue) : printSchema(catalogue))
  return 0
}

function readFormat(given: string | undefined, isJson: boolean): (typeof formats)[number] {
  const wanted = given ?? (isJson ? 'json-schema' : 'markdown')
  const format = formats.find((name) => name === wanted)
  if (format === undefined || (isJson && format !== 'json-schema')) {
    throw new AuditError('INVALID_OPTION', `--format is ${JSON.stringify(given)}${isJson ? ' beside --json' : ''}`, {
      setting: '--format',
      hint: `allowed: ${formats.join(', ')}; --json is the same as --format json-schema`,
    })
  }
  return format
}

/** The one catalogue that a module exports. */
async function loadCatalogue(module: string): Promise<Catalogue> {
  const exported = await importModule(module)
  const catalogues = new Set(Object.values(exported).filter(isCatalogue))
  const [catalogue] = catalogues
  if (catalogue !== undefined && catalogues.size === 1) return catalogue
  const names = Object.keys(exported)
  throw refusal(
    catalogue === undefined
      ? `${module} exports no catalogue; it exports ${names.length === 0 ? 'nothing' : names.join(', ')}`
      : `${module} exports ${catalogues.size} catalogues`,
    'export one catalogue, made by defineActions (docs/catalogue.md)',
  )
}

async function importModule(module: string): Promise<Record<string, unknown>> {
  const file = resolve(module)
  const isFile = existsSync(file)
  if (!isFile && /^[./\\]/.test(module)) throw refusal(`${module} does not exist`, 'name a file, from this folder')
  try {
    const from = createRequire(join(process.cwd(), 'package.json'))
    return (await import(pathToFileURL(isFile ? file : from.resolve(module)).href)) as Record<string, unknown>
  } catch (cause) {
    const [text, hint] =
      cause instanceof AuditError
        ? [cause.message, cause.hint]
        : [errorText(cause), 'name a file or package that node can import']
    throw refusal(`${module} cannot be loaded: ${text}`, hint, cause)
  }
}

function refusal(message: string, hint: string, cause?: unknown): AuditError {
  return new AuditError('INVALID_OPTION', `--catalogue: ${message}`, { setting: '--catalogue', hint, cause })
}
