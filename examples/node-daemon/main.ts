/** `npm run example:node-daemon`: tells the life of the daemon in a folder of its own. */

import { runExample } from '../stage/example.ts'
import { faultsOf, tellStory } from './story.ts'

process.exitCode = await runExample(
  {
    name: 'node-daemon',
    about:
      'A daemon that logs what it does for SOC 2, ISO 27001 or HIPAA: facts only, in files that rotate and can be proven.',
    size: {
      option: 'cycles',
      about: 'how often the daemon asks its model in each of its two lives',
      byDefault: 1_000,
      least: 1,
      most: 100_000,
    },
    tell: tellStory,
    faultsOf,
  },
  process.argv.slice(2),
)
