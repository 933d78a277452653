/**
 * Asking a witness (c2sp.org/tlog-witness) to cosign a checkpoint, and what its answer means. Always holds: an answer counts
 * as a cosignature only when the key that was configured has signed this checkpoint. Never throws.
 */

import { openCosignature, type Witness } from '../chain/cosignature.ts'
import { errorText } from '../errors.ts'

/** What is asked. */
export interface WitnessQuestion {
  /** The size that the witness has cosigned last, as far as is known here; 0: nothing. */
  readonly oldSize: number
  /** From there to the checkpoint. */
  readonly proof: readonly Uint8Array[]
  /** The checkpoint, a signed note. */
  readonly note: string
}

export type WitnessReply =
  /** `line`: the signature line; `time` in seconds, by the witness's clock. */
  | { readonly kind: 'cosigned'; readonly line: string; readonly time: number }
  /** It has cosigned this size last, and not the one that was named. */
  | { readonly kind: 'elsewhere'; readonly size: number }
  /** It has cosigned another history: this one gets no cosignature any more. */
  | { readonly kind: 'contradicts'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string }

const answerBytesMax = 16_384

/** The body of `add-checkpoint`. */
export function formatQuestion({ oldSize, proof, note }: WitnessQuestion): string {
  const lines = proof.map((hash) => `${Buffer.from(hash).toString('base64')}\n`)
  return `old ${oldSize}\n${lines.join('')}\n${note}`
}

export interface WitnessAddress {
  /** The prefix of its submission URL, without `/add-checkpoint`. */
  readonly url: string
  readonly witness: Witness
}

export async function askWitness(
  { url, witness }: WitnessAddress,
  question: WitnessQuestion,
  signal: AbortSignal,
): Promise<WitnessReply> {
  try {
    const response = await fetch(`${url.replace(/\/+$/, '')}/add-checkpoint`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: formatQuestion(question),
      redirect: 'error',
      signal,
    })
    const body = await readText(response)
    return readReply(
      { status: response.status, type: response.headers.get('content-type') ?? '', body },
      {
        note: question.note,
        witness,
      },
    )
  } catch (thrown) {
    return { kind: 'failed', reason: reasonOf(thrown) }
  }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** What an answer means. Pure. */
export function readReply(
  { status, type, body }: Answer,
  { note, witness }: { readonly note: string; readonly witness: Witness },
): WitnessReply {
  const said = body.trim().slice(0, 200)
  if (status === 200) return readCosignature(body, note, witness)
  if (status === 409 && type.startsWith('text/x.tlog.size')) {
    const size = /^(0|[1-9]\d{0,15})\n?$/.test(body) ? Number(body) : Number.NaN
    return Number.isSafeInteger(size)
      ? { kind: 'elsewhere', size }
      : { kind: 'failed', reason: 'status 409 without a size' }
  }
  if (status === 409 || status === 422) return { kind: 'contradicts', reason: said }
  return { kind: 'failed', reason: `status ${status}${said === '' ? '' : `: ${said}`}` }
}

function readCosignature(body: string, note: string, witness: Witness): WitnessReply {
  const text = note.slice(0, note.indexOf('\n\n') + 1)
  const lines = body.match(/— [^\n]+\n/g) ?? []
  for (const line of lines) {
    const opened = openCosignature(text, line, witness)
    if (opened.problem === undefined) return { kind: 'cosigned', line, time: opened.time }
  }
  return { kind: 'failed', reason: `its answer holds no cosignature by ${witness.name}+${witness.keyId}` }
}

/** The body, cut at what an answer can have. */
async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > answerBytesMax) break
  }
  return Buffer.concat(chunks).toString('utf8', 0, answerBytesMax)
}

export function reasonOf(thrown: unknown): string {
  if (thrown instanceof Error && thrown.name === 'TimeoutError') return 'it has not answered in time'
  const { cause } = (thrown ?? {}) as { cause?: unknown }
  return cause === undefined ? errorText(thrown) : `${errorText(thrown)}: ${errorText(cause)}`
}
