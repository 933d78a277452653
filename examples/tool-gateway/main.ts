/** `npm run example:tool-gateway`: puts the gateway under load with each ready configuration. */

import { runExample } from '../stage/example.ts'
import { faultsOf, tellStory } from './story.ts'

process.exitCode = await runExample(
  {
    name: 'tool-gateway',
    about:
      'A gateway under load with a real PostgreSQL: what is recorded, what is not and counted, and what the database notices.',
    size: {
      option: 'users',
      about: 'how many users call at once, ten calls each',
      byDefault: 2_000,
      least: 20,
      most: 20_000,
    },
    tell: tellStory,
    faultsOf,
  },
  process.argv.slice(2),
)
