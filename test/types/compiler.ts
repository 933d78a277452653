/**
 * Asks the compiler about a small program that stands beside the sources: what it says is wrong, and what it offers at
 * a place. Nothing is written: the program lives in the memory of the language server, as an unsaved file of an editor.
 */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const root = join(import.meta.dirname, '../..')

interface Place {
  readonly line: number
  readonly character: number
}

interface Answer {
  readonly id?: number
  readonly method?: string
  readonly params?: { readonly items?: readonly unknown[] }
  readonly result?: unknown
  readonly error?: unknown
}

/** An error of the compiler. */
export interface CompilerError {
  readonly code: number
  /** Counted from 1. */
  readonly line: number
  readonly message: string
}

/** A language server; whoever starts it stops it. */
export class Compiler {
  readonly #server: ChildProcessWithoutNullStreams
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #received = Buffer.alloc(0)
  #asked = 0
  #opened = 0

  static async start(): Promise<Compiler> {
    const compiler = new Compiler()
    await compiler.#ask('initialize', { processId: null, rootUri: pathToFileURL(root).href, capabilities: {} })
    compiler.#send({ method: 'initialized', params: {} })
    return compiler
  }

  private constructor() {
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    this.#server = spawn(process.execPath, [tsc, '--lsp', '-stdio'], { cwd: root })
    this.#server.stdout.on('data', (chunk: Buffer) => this.#receive(chunk))
    this.#server.stderr.resume()
  }

  /** Every error in a program of `test/types`. */
  async errorsIn(program: string): Promise<CompilerError[]> {
    const textDocument = this.#open(program)
    const { items } = (await this.#ask('textDocument/diagnostic', { textDocument })) as {
      items: { code: number; severity: number; message: string; range: { start: Place } }[]
    }
    return items
      .filter(({ severity }) => severity === 1)
      .map(({ code, message, range }) => ({ code, message, line: range.start.line + 1 }))
  }

  /** What an editor would offer at `|` in a program. */
  async completionsIn(marked: string): Promise<string[]> {
    const before = marked.slice(0, marked.indexOf('|')).split('\n')
    const position = { line: before.length - 1, character: before.at(-1)?.length ?? 0 }
    const textDocument = this.#open(marked.replace('|', ''))
    const { items } = (await this.#ask('textDocument/completion', { textDocument, position })) as {
      items: { label: string }[]
    }
    return items.map(({ label }) => label)
  }

  stop(): void {
    this.#server.kill()
  }

  #open(text: string): { readonly uri: string } {
    this.#opened += 1
    const uri = pathToFileURL(join(root, `test/types/program-${this.#opened}.ts`)).href
    this.#send({
      method: 'textDocument/didOpen',
      params: { textDocument: { uri, languageId: 'typescript', version: 1, text } },
    })
    return { uri }
  }

  async #ask(method: string, params: object): Promise<unknown> {
    this.#asked += 1
    const id = this.#asked
    const { promise, resolve } = Promise.withResolvers<Answer>()
    this.#waiting.set(id, resolve)
    this.#send({ id, method, params })
    const { result, error } = await promise
    if (error !== undefined) throw new Error(`${method}: ${JSON.stringify(error)}`)
    return result
  }

  #send(message: object): void {
    const text = JSON.stringify({ jsonrpc: '2.0', ...message })
    this.#server.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    for (;;) {
      const headerEnd = this.#received.indexOf('\r\n\r\n')
      const [, length] = /Content-Length: (\d+)/i.exec(this.#received.toString('utf8', 0, headerEnd)) ?? []
      const bodyEnd = headerEnd + 4 + Number(length)
      if (headerEnd < 0 || this.#received.length < bodyEnd) return
      const answer = JSON.parse(this.#received.toString('utf8', headerEnd + 4, bodyEnd)) as Answer
      this.#received = this.#received.subarray(bodyEnd)
      this.#hear(answer)
    }
  }

  /** Answers come by their number; the server's own questions are about settings, of which there are none. */
  #hear(answer: Answer): void {
    const { id, method, params } = answer
    if (id === undefined) return
    if (method === undefined) this.#waiting.get(id)?.(answer)
    else this.#send({ id, result: params?.items?.map(() => ({})) ?? null })
  }
}
