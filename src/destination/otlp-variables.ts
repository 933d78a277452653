/**
 * The variables of OpenTelemetry that say how and where to an `otlp` destination sends, where its own options do not.
 * OpenTelemetry passes over a value that cannot be meant and sends to localhost, and the trail would arrive nowhere:
 * here such a value is refused.
 */

import type { OtlpDestinationOptions } from './options.ts'

/** A variable whose value cannot be meant. */
export interface WrongVariable {
  readonly setting: string
  readonly value: string
  readonly allowed: string
  readonly hint: string
}

/** Reads a variable of the environment. */
type ReadVariable = (name: string) => string | undefined

/**
 * The variable that keeps this destination from sending anything; `undefined` where there is none. The variables are
 * about the program's other telemetry when the endpoint is an option.
 */
export function wrongVariable(options: OtlpDestinationOptions, readVariable: ReadVariable): WrongVariable | undefined {
  if (options.endpoint !== undefined) return undefined
  const protocol = read(readVariable, 'PROTOCOL')
  if (options.protocol === undefined && protocol !== undefined && !/^http\/(protobuf|json)$/.test(protocol.value)) {
    const hint =
      'Use OTEL_EXPORTER_OTLP_LOGS_PROTOCOL, or the option protocol, with the HTTP port of the collector (4318).'
    return { ...protocol, allowed: 'http/protobuf, http/json', hint }
  }
  const endpoint = read(readVariable, 'ENDPOINT')
  if (endpoint === undefined || isHttp(endpoint.value)) return undefined
  const hint = 'For example http://127.0.0.1:4318; without the variable that is where records go.'
  return { ...endpoint, allowed: 'a URL that begins with http:// or https://', hint }
}

/** The variable for logs before the one for everything; an empty one counts as unset. */
function read(readVariable: ReadVariable, name: string): Pick<WrongVariable, 'setting' | 'value'> | undefined {
  for (const setting of [`OTEL_EXPORTER_OTLP_LOGS_${name}`, `OTEL_EXPORTER_OTLP_${name}`]) {
    const value = readVariable(setting)?.trim() ?? ''
    if (value !== '') return { setting, value }
  }
  return undefined
}

function isHttp(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text)
}
