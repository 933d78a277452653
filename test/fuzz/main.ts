/**
 * `npm run test:fuzz [-- --inputs N] [--seed N] [--threads N] [--no-docs]`: damaged input for every parser; ends with 1 when a promise
 * broke. A run of a million inputs and more writes its table into docs/tamper-matrix.md.
 */

import { randomInt } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { writeFuzz } from '../tamper/document.ts'
import { fuzzInThreads } from './fuzz.ts'

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '1000000' },
    seed: { type: 'string' },
    threads: { type: 'string', default: String(availableParallelism()) },
    'no-docs': { type: 'boolean', default: false },
  },
})
const inputs = Number(values.inputs)
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
if (!Number.isSafeInteger(inputs) || inputs < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write('Usage: npm run test:fuzz [-- --inputs N] [--seed N] [--threads N] [--no-docs]\n')
  process.exit(2)
}
process.stdout.write(`seed ${seed}\n`)
const results = await fuzzInThreads(
  { inputs, seed, threads: Number(values.threads) },
  ({ name, inputs: tried, believed, slowestMs, failure }) => {
    const counted = `${name.padEnd(20)}${String(tried).padStart(9)} inputs, ${believed} taken for sound`
    process.stdout.write(`${counted}, the slowest in ${slowestMs.toFixed(0)} ms\n`)
    if (failure !== undefined) process.stdout.write(`  FAILED: ${failure.reason}\n  input (base64): ${failure.input}\n`)
  },
)
const broken = results.filter(({ failure }) => failure !== undefined)
process.stdout.write(
  `${results.reduce((sum, { inputs: tried }) => sum + tried, 0)} inputs, ${broken.length} targets broken\n`,
)
if (broken.length === 0 && inputs >= 1_000_000 && !values['no-docs']) writeFuzz(results, seed)
process.exitCode = broken.length > 0 ? 1 : 0
