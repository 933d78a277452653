/** docs/proofs.md against the command: the options that it names, and that each command it shows exists. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { command } from '../../src/cli/proof.ts'
import { readDocument } from './markdown.ts'

it('names options that the commands have', () => {
  const help = command.commands.map((one) => one.help).join('\n')
  const document = readDocument('docs/proofs.md')
  for (const option of new Set(document.match(/--[a-z][a-z-]*/g))) assert.ok(help.includes(option), option)
  for (const { name } of command.commands) assert.ok(document.includes(`otel-audit ${name} `), name)
})
