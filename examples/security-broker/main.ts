/** `npm run example:security-broker`: a broker whose audit events are written with their change, exported, and kept. */

import { runExample } from '../stage/example.ts'
import { tellStory } from './story.ts'
import { faultsOf } from './summary.ts'

process.exitCode = await runExample(
  {
    name: 'security-broker',
    about:
      'A security broker with a real PostgreSQL: audit events in the transaction of their change, exported while everything is killed.',
    size: {
      option: 'users',
      about: 'how many users each broker has, eight requests each',
      byDefault: 60,
      least: 8,
      most: 900,
    },
    tell: tellStory,
    faultsOf,
  },
  process.argv.slice(2),
)
