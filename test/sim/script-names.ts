/** The scripted histories by name; apart, so that a test can list them without being in their world. */

export const scriptNames = [
  'a void segment removed early',
  'a frame that lacks only its padding',
  'roll, credit, cut',
  'a rescue named while it is empty',
  'a failed sync of the directory condemns every name',
  'control in the cache alone, a recovery killed, a cut',
  'a recovery killed between the segments of two streams',
  'a stream that is credited before its first record',
] as const

export type ScriptName = (typeof scriptNames)[number]
