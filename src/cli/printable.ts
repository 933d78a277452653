/** Text that comes from a source, fit for a terminal: nothing in it moves the cursor or hides what stands beside it. */

export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
