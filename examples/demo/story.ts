/** How the demo talks: short chapters on one stream, and one line of progress where a person watches a terminal. */

import { styleText } from 'node:util'

/** Clears the line that progress was shown on. */
const clearLine = '\r\u001b[K'

export class Story {
  readonly #stream: NodeJS.WriteStream
  #chapters = 0

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  /** The first line: what the story is about. */
  open(title: string): void {
    this.#write(`\n${this.#bold(title)}\n`)
  }

  chapter(title: string): void {
    this.#chapters += 1
    this.#write(`\n${this.#bold(`${this.#chapters}. ${title}`)}\n`)
  }

  say(line: string): void {
    this.#write(`   ${line}\n`)
  }

  /** Rows whose columns are aligned; numbers to the right. */
  table(rows: readonly (readonly (string | number)[])[]): void {
    const widths = rows.reduce<number[]>(
      (known, row) => row.map((cell, column) => Math.max(known[column] ?? 0, count(cell).length)),
      [],
    )
    for (const row of rows) {
      const cells = row.map((cell, column) => {
        const width = widths[column] ?? 0
        return typeof cell === 'number' ? count(cell).padStart(width) : cell.padEnd(width)
      })
      this.say(cells.join('   ').trimEnd())
    }
  }

  /** Shown until something else is said; on a terminal only. */
  progress(text: string): void {
    if (this.#stream.isTTY) this.#stream.write(`${clearLine}   ${text}`)
  }

  #write(text: string): void {
    this.#stream.write(this.#stream.isTTY ? `${clearLine}${text}` : text)
  }

  #bold(text: string): string {
    return styleText('bold', text, { stream: this.#stream })
  }
}

/** 12345 as `12,345`; text as it is. */
export function count(cell: string | number): string {
  return typeof cell === 'number' ? cell.toLocaleString('en-US') : cell
}
