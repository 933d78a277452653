/** Damage for tests: copies of good bytes in which exactly one byte differs. */

/** One copy per byte and mask; the lowest, the highest and all bits of each byte are tried. */
export function* flippedBytes(bytes: Uint8Array, masks: readonly number[] = [0x01, 0x80, 0xff]): Generator<Buffer> {
  for (const [index, byte] of bytes.entries()) {
    for (const mask of masks) {
      const copy = Buffer.from(bytes)
      copy[index] = byte ^ mask
      yield copy
    }
  }
}
