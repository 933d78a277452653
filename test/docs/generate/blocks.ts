/** Parts of Markdown documents that are made: marked blocks, and tables. */

/** Makes the marked blocks of a document. A block without its maker, or a maker without its block, throws. */
export function blocks(makers: Readonly<Record<string, () => string>>): (current: string) => string {
  return (current) => {
    const made = new Set<string>()
    const text = current.replace(/<!-- made: (\w+) -->\n.*?<!-- end -->/gs, (_, name: string) => {
      const make = makers[name]
      if (make === undefined) throw new Error(`nothing makes the block ${name}`)
      made.add(name)
      return `<!-- made: ${name} -->\n\n${make()}\n\n<!-- end -->`
    })
    const lost = Object.keys(makers).filter((name) => !made.has(name))
    if (lost.length > 0) throw new Error(`there is no block for ${lost.join(', ')}`)
    return text
  }
}

/** A table of Markdown. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}
