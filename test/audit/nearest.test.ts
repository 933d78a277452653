import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from '../../src/audit/nearest.ts'

const known = ['verify', 'spool', 'migrate', 'key']

test('a mistyped word is answered with the one that was meant', () => {
  const meant = { verfy: 'verify', verifiy: 'verify', spol: 'spool', migarte: 'migrate', kye: 'key', keys: 'key' }
  for (const [word, expected] of Object.entries(meant)) assert.equal(nearest(word, known), expected, word)
})

test('a word that is like none of the known ones gets no suggestion', () => {
  for (const word of ['', 'frobnicate', 'x', 'help', '--version']) assert.equal(nearest(word, known), undefined, word)
  assert.equal(nearest('verify', []), undefined)
})
