import type { Position } from '../../src/event/record.ts'

/** A place in the middle of a stream. */
export const position: Position = {
  stream: '0197c2f4-6d5e-7c3a-8b1f-2a9d4e6f8071',
  sequence: 7,
  previousHash: '5dcd9e69a7065966ad6559d9cb701da65d6d5a86b2f2ee1ba7f1c0dd1a3f9d90',
  epoch: 2,
  recorded: '2026-11-22T09:30:00.123000000Z',
  id: '019abcde-f012-7345-8678-9abcdef01234',
}
