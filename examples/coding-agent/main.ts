/** `npm run example:coding-agent`: comments become patches, and every step of each stands under one correlation id. */

import { runExample } from '../stage/example.ts'
import { tellStory } from './story.ts'
import { faultsOf } from './summary.ts'

process.exitCode = await runExample(
  {
    name: 'coding-agent',
    about:
      'A coding agent that calls GitLab, Jira and a model: each call recorded once, each comment followed from its webhook to the push.',
    size: { option: 'comments', about: 'how many comments come in', byDefault: 6, least: 4, most: 200 },
    tell: tellStory,
    faultsOf,
  },
  process.argv.slice(2),
)
