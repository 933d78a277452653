/** `npm run test:fuzz [-- --inputs N] [--seed N]`: damaged input for every parser; ends with 1 when a promise broke. */

import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { fuzz } from './fuzz.ts'

const { values } = parseArgs({ options: { inputs: { type: 'string', default: '1000000' }, seed: { type: 'string' } } })
const inputs = Number(values.inputs)
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
if (!Number.isSafeInteger(inputs) || inputs < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write('Usage: npm run test:fuzz [-- --inputs N] [--seed N]\n')
  process.exit(2)
}
process.stdout.write(`seed ${seed}\n`)
const results = await fuzz({ inputs, seed }, ({ name, inputs: tried, believed, failure }) => {
  process.stdout.write(`${name.padEnd(18)}${String(tried).padStart(9)} inputs, ${believed} taken for sound\n`)
  if (failure !== undefined) process.stdout.write(`  FAILED: ${failure.reason}\n  input (base64): ${failure.input}\n`)
})
const broken = results.filter(({ failure }) => failure !== undefined)
process.stdout.write(
  `${results.reduce((sum, { inputs: tried }) => sum + tried, 0)} inputs, ${broken.length} targets broken\n`,
)
process.exitCode = broken.length > 0 ? 1 : 0
