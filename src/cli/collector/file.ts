/**
 * A collector's configuration as its linter needs it: which components carry logs, what is set on each and on which line,
 * and what the file itself declares to be accepted. Reads text, opens nothing. `${env:NAME:-default}` stands for its
 * default, unless the environment that is handed in says otherwise; one without a default stays as it is written.
 */

import { isMap, isScalar, LineCounter, parse, parseDocument } from 'yaml'
import { AuditError, errorText } from '../../errors.ts'

export type ComponentKind = 'receivers' | 'processors' | 'exporters' | 'connectors' | 'extensions'

/** One component of a pipeline, or an extension that one uses. */
export interface Component {
  readonly kind: ComponentKind
  /** As the file names it: `otlp_http/first`. */
  readonly id: string
  /** The part before the slash. */
  readonly type: string
  /** What is set at `sending_queue.storage`; `undefined` when nothing is. */
  read(setting: string): unknown
  /** The line of a setting, or of the nearest one around it. */
  lineOf(setting: string): number
}

/** A pipeline of logs. */
export interface LogPipeline {
  readonly name: string
  readonly components: readonly Component[]
}

/** `# otel-audit-allow TRAP [COMPONENT]: reason`, a line of the file. */
export interface Allowance {
  readonly trap: string
  readonly component: string | undefined
  readonly reason: string
  readonly line: number
}

export interface CollectorFile {
  readonly pipelines: readonly LogPipeline[]
  readonly allowances: readonly Allowance[]
  /** Lines that were meant to allow something and say not what or why. */
  readonly brokenAllowances: readonly number[]
  extension(id: string): Component | undefined
}

type Members = Readonly<Record<string, unknown>>

/** Reads a configuration. Throws SOURCE_UNREADABLE for what no collector would start with, or that carries no logs. */
export function readCollectorFile(text: string, env: NodeJS.ProcessEnv = {}): CollectorFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, merge: true })
  const [problem] = document.errors
  if (problem !== undefined) throw unreadable(`it is no YAML: ${problem.message.split('\n')[0]}`, problem)
  const root: unknown = expand(document.toJS(), env)
  if (!isMap(document.contents) || !isMembers(root))
    throw unreadable('it is no map of receivers, exporters and service')
  const lineOf = (path: readonly string[]): number => {
    for (let length = path.length; length > 0; length -= 1) {
      const around = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true)
      const pairs = isMap(around) ? around.items : []
      const key = pairs.map((pair) => pair.key).find((one) => isScalar(one) && String(one.value) === path[length - 1])
      if (isScalar(key) && key.range) return lines.linePos(key.range[0]).line
    }
    return 1
  }
  const componentOf = (kind: ComponentKind, id: string): Component | undefined => {
    const all = root[kind]
    if (!isMembers(all) || !(id in all)) return undefined
    return {
      kind,
      id,
      type: id.split('/')[0] ?? id,
      read: (setting) => readPath(all[id], setting.split('.')),
      lineOf: (setting) => lineOf([kind, id, ...setting.split('.')]),
    }
  }
  return {
    pipelines: readPipelines(root, componentOf),
    ...readAllowances(text),
    extension: (id) => componentOf('extensions', id),
  }
}

type Find = (kind: ComponentKind, id: string) => Component | undefined

function readPipelines(root: Members, find: Find): LogPipeline[] {
  const pipelines = readPath(root, ['service', 'pipelines'])
  if (!isMembers(pipelines)) throw unreadable('service.pipelines is missing')
  const ofLogs = Object.entries(pipelines).filter(([name]) => name === 'logs' || name.startsWith('logs/'))
  if (ofLogs.length === 0) throw unreadable('no pipeline carries logs: none is named logs or logs/…')
  return ofLogs.map(([name, parts]) => {
    const components = (['receivers', 'processors', 'exporters'] as const).flatMap((kind) =>
      idsOf(parts, kind).map((id) => {
        const found = find(kind, id) ?? (kind === 'processors' ? undefined : find('connectors', id))
        if (found === undefined)
          throw unreadable(`pipeline ${name} names ${kind} ${id}, which the file does not define`)
        return found
      }),
    )
    if (!components.some(({ kind }) => kind === 'exporters' || kind === 'connectors'))
      throw unreadable(`pipeline ${name} has no exporter`)
    return { name, components }
  })
}

function idsOf(parts: unknown, kind: string): string[] {
  const ids = readPath(parts, [kind])
  return Array.isArray(ids) ? ids.map(String) : []
}

const allowance =
  /^\s*#\s*otel-audit-allow\b\s*(?:(?<trap>[a-z-]+)(?:\s+(?<component>[\w./-]+))?\s*:\s*(?<reason>\S.*))?/

function readAllowances(text: string): Pick<CollectorFile, 'allowances' | 'brokenAllowances'> {
  const allowances: Allowance[] = []
  const brokenAllowances: number[] = []
  for (const [index, written] of text.split('\n').entries()) {
    const found = allowance.exec(written)
    if (found === null) continue
    const { trap, component, reason } = found.groups ?? {}
    if (trap === undefined || reason === undefined) brokenAllowances.push(index + 1)
    else allowances.push({ trap, component, reason: reason.trim(), line: index + 1 })
  }
  return { allowances, brokenAllowances }
}

const variable = /\$\{(?:env:)?([A-Za-z_]\w*)(?::-([^}]*))?\}/g

/** As the collector does: variables are replaced, and a scalar that was one is read as YAML again. */
function expand(value: unknown, env: NodeJS.ProcessEnv): unknown {
  if (Array.isArray(value)) return value.map((one) => expand(one, env))
  if (isMembers(value)) return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, expand(one, env)]))
  if (typeof value !== 'string') return value
  const expanded = value.replace(
    variable,
    (written, name: string, otherwise?: string) => env[name] ?? otherwise ?? written,
  )
  return expanded === value ? value : scalarOf(expanded)
}

function scalarOf(text: string): unknown {
  try {
    const parsed: unknown = parse(text)
    return isMembers(parsed) || Array.isArray(parsed) ? text : (parsed ?? '')
  } catch {
    return text // such as a password with a colon in it: no scalar of YAML, and no setting that is judged
  }
}

function readPath(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inside, key) => (isMembers(inside) ? inside[key] : undefined), value)
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unreadable(reason: string, cause?: unknown): AuditError {
  return new AuditError('SOURCE_UNREADABLE', `the collector's configuration cannot be judged: ${reason}`, {
    setting: '--collector',
    hint: 'give the whole configuration of one collector; "otelcol validate --config FILE" says what the collector thinks of it',
    ...(cause === undefined ? {} : { cause: errorText(cause) }),
  })
}
