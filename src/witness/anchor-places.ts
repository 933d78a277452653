/**
 * Where a signed checkpoint is put outside of its trail: a folder, the Git repository that it lies in, an authority for
 * timestamps, a server that keeps files. Always holds: what is returned has been done, durably where that is ours to say.
 * Nothing here looks at signatures: whoever calls has a checkpoint that was signed or verified.
 */

import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { refuseTimestamp, timestampRequest } from '../chain/timestamp.ts'
import { errorText } from '../errors.ts'

/** A checkpoint's note, and what it is of. */
export interface PlacedNote {
  readonly note: string
  readonly stream: string
  readonly size: number
  /** Base64, as in the note. */
  readonly root: string
}

const timeoutMs = 30_000

/** Reads what a note is of; it has the three lines of a checkpoint. */
export function placedNote(note: string): PlacedNote {
  const [origin = '', size = '', root = ''] = note.split('\n')
  return { note, stream: origin.slice(origin.lastIndexOf('/') + 1), size: Number(size), root }
}

/** `STREAM-SIZE.checkpoint`, `STREAM-SIZE.tsr`. */
export function fileNameOf({ stream, size }: PlacedNote, ending: 'checkpoint' | 'tsr'): string {
  return `${stream}-${size}.${ending}`
}

/** Writes the note, or the timestamp of it, into a folder, which is made if it does not exist; its path. */
export function writeAnchor(directory: string, placed: PlacedNote, timestamp?: Uint8Array): string {
  mkdirSync(directory, { recursive: true })
  const path = join(directory, fileNameOf(placed, timestamp === undefined ? 'checkpoint' : 'tsr'))
  writeFileSync(path, timestamp ?? placed.note, { flush: true })
  return path
}

/** What a folder holds of a checkpoint: its note, and a timestamp where there is one. */
export function anchorFiles(directory: string, placed: PlacedNote): string[] {
  const paths = (['checkpoint', 'tsr'] as const).map((ending) => join(directory, fileNameOf(placed, ending)))
  return paths.filter((path) => existsSync(path))
}

/** What the authority at `url` (RFC 3161) says of the note; rejects with the reason where that is no timestamp of it. */
export async function askAuthority(url: string, { note }: PlacedNote): Promise<Buffer> {
  const nonce = randomBytes(8)
  const headers = { 'content-type': 'application/timestamp-query' }
  const body = new Uint8Array(timestampRequest(note, nonce))
  const response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(timeoutMs) })
  const answer = Buffer.from(await response.arrayBuffer())
  const refusal = response.ok ? refuseTimestamp(answer, note, nonce) : `HTTP status ${response.status}`
  if (refusal !== undefined) throw new Error(refusal)
  return answer
}

/** Puts the note on a server that keeps files (`PUT URL/STREAM-SIZE.checkpoint`); where it is. Rejects unless it was taken. */
export async function publishNote(url: string, placed: PlacedNote): Promise<string> {
  const address = `${url.replace(/\/+$/, '')}/${fileNameOf(placed, 'checkpoint')}`
  const headers = { 'content-type': 'text/plain; charset=utf-8' }
  const signal = AbortSignal.timeout(timeoutMs)
  const response = await fetch(address, { method: 'PUT', headers, body: placed.note, redirect: 'error', signal })
  await response.body?.cancel()
  if (!response.ok) throw new Error(`HTTP status ${response.status}`)
  return address
}

/** Commits files of a folder to its repository: the hash of the commit; undefined where it has all of that already. */
export function commitAnchors(directory: string, files: readonly string[], text: string): string | undefined {
  const names = files.map((file) => basename(file))
  runGit(directory, ['add', '--', ...names])
  if (spawnSync('git', ['-C', directory, 'diff', '--cached', '--quiet', '--', ...names]).status === 0) return undefined
  runGit(directory, ['commit', '--quiet', '-m', `otel-audit checkpoints\n\n${text}`, '--', ...names])
  return runGit(directory, ['rev-parse', 'HEAD']).trim()
}

function runGit(directory: string, argv: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync('git', ['-C', directory, ...argv], {
    encoding: 'utf8',
    timeout: timeoutMs,
  })
  if (status === 0) return stdout
  throw new Error(error === undefined ? stderr.trim() : errorText(error))
}
