/**
 * The files that configuration is read from: the JSON file of options, and files that hold one secret each. What is wrong
 * with one is told without a word of its content. A secret that everybody on the machine could read is refused. Also
 * short notes to the next opening, in the spool directory, which may be lost without harm.
 */

import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { errorCode, errorText } from '../errors.ts'
import type { Problem } from './problem.ts'

const fileBytesMax = 2 ** 20
const secretBytesMax = 2 ** 16

export type Reading<Value> = { readonly value: Value } | { readonly problem: Problem }

/** The secret in a file, without its last line break. `setting` is what named the file. */
export function readSecretFile(file: string, setting: string): Reading<string> {
  const read = readWhole(file, { setting, bytesMax: secretBytesMax })
  if ('problem' in read) return read
  const access = (read.mode & 0o777).toString(8).padStart(4, '0')
  if ((read.mode & 0o007) !== 0) {
    return refuse(setting, `names ${file}, which everybody on this machine may read (mode ${access})`, openHint(file))
  }
  const value = read.value.replace(/\r?\n$/, '')
  return value === ''
    ? refuse(setting, `names ${file}, which is empty`, 'Write the secret into it, or leave the setting out.')
    : { value }
}

function openHint(file: string): string {
  return `chmod 600 ${file}, and change the secret if somebody may have read it. Kubernetes: defaultMode: 0400 (0440 with fsGroup); Compose: mode: 0400.`
}

/** The object in a JSON file; `$schema`, which is there for editors, is left out. */
export function readConfigFile(file: string, setting: string): Reading<Record<string, unknown>> {
  const read = readWhole(file, { setting, bytesMax: fileBytesMax })
  if ('problem' in read) return read
  const hint = 'It must hold one JSON object of options; docs/schema/config.json tells an editor which.'
  let value: unknown
  try {
    value = JSON.parse(read.value.replace(/^\uFEFF/, ''))
  } catch (thrown) {
    return refuse(setting, `names ${file}, which is no JSON${describePlace(thrown)}`, hint)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse(setting, `names ${file}, which holds no JSON object`, hint)
  }
  const { $schema: _, ...options } = value as Record<string, unknown>
  return { value: options }
}

/** Where the JSON is wrong; the rest of the engine's message may quote a secret. */
function describePlace(thrown: unknown): string {
  const [, place] = /\((line \d+ column \d+)\)/.exec(errorText(thrown)) ?? []
  return place === undefined ? '' : ` (${place})`
}

/** A note that `writeNote` has left; `undefined` when there is none. */
export function readNote(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trimEnd()
  } catch {
    return undefined // a note that cannot be read is one that was never left
  }
}

/** Leaves a note, whole or not at all. What cannot be written is a note that was never left. */
export function writeNote(file: string, text: string): void {
  try {
    writeFileSync(`${file}.new`, `${text}\n`, { mode: 0o600 })
    renameSync(`${file}.new`, file)
  } catch {
    // the directory is full or gone: what the note would have spared is done again
  }
}

function readWhole(
  file: string,
  { setting, bytesMax }: { setting: string; bytesMax: number },
): { readonly value: string; readonly mode: number } | { readonly problem: Problem } {
  let descriptor: number | undefined
  try {
    // Non-blocking, because opening a pipe would wait for ever; on a file it changes nothing.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = fstatSync(descriptor)
    if (!stat.isFile()) return refuse(setting, `names ${file}, which is no file`, 'Name a regular file.')
    if (stat.size > bytesMax)
      return refuse(setting, `names ${file}, which has more than ${bytesMax} bytes`, 'Name the right file.')
    return { value: readFileSync(descriptor, 'utf8'), mode: stat.mode }
  } catch (thrown) {
    const reason = errorCode(thrown) === 'ENOENT' ? 'does not exist' : `cannot be read: ${errorText(thrown)}`
    return refuse(
      setting,
      `names ${file}, which ${reason}`,
      'Name a file that this user may read, or leave the setting out.',
    )
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

function refuse(setting: string, what: string, hint: string): { readonly problem: Problem } {
  return { problem: { setting, message: `${setting} ${what}`, hint } }
}
