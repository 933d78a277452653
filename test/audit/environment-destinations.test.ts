import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { destinationSchema } from '../../src/audit/destination-schema.ts'
import type { AuditOptions } from '../../src/audit/options.ts'
import { readConfig } from '../../src/audit/read-config.ts'
import { environmentSettings } from '../../src/audit/variables.ts'
import type { DestinationOptions } from '../../src/destination/destination.ts'

const database = 'postgres://db.example/audit'

function read(environment: NodeJS.ProcessEnv, options: AuditOptions = {}) {
  const { config, problems } = readConfig({ options, environment })
  return { destinations: config?.destinations ?? [], remarks: config?.remarks ?? [], problems }
}

function destinationsOf(environment: NodeJS.ProcessEnv, options: AuditOptions = {}): readonly DestinationOptions[] {
  const { destinations, problems } = read(environment, options)
  assert.deepEqual(problems, [])
  return destinations
}

describe('AUDIT_LOG_DESTINATION', () => {
  test('is standard output when nobody says where records go', () => {
    assert.deepEqual(
      destinationsOf({}).map(({ type }) => type),
      ['stdout'],
    )
  })

  test('names several, each with its variables', () => {
    const environment = {
      AUDIT_LOG_DESTINATION: 'file, http,postgres,syslog,otlp',
      AUDIT_LOG_FILE_PATH: '/var/log/audit.ndjson',
      AUDIT_LOG_HTTP_ENDPOINT: 'http://10.0.0.7/audit',
      AUDIT_LOG_SYSLOG_ADDRESS: 'tls://logs.example:6514',
      AUDIT_POSTGRES_URL: database,
    }
    const [file, http, postgres, syslog, otlp] = destinationsOf(environment)
    assert.ok(file?.type === 'file' && file.path === '/var/log/audit.ndjson')
    assert.ok(http?.type === 'http' && http.endpoint === 'http://10.0.0.7/audit')
    assert.ok(postgres?.type === 'postgres' && postgres.url === database)
    assert.ok(syslog?.type === 'syslog' && syslog.address === 'tls://logs.example:6514')
    assert.equal(otlp?.type, 'otlp')
  })

  test('passes on how the file is rotated, when that is set', () => {
    const file = { AUDIT_LOG_DESTINATION: 'file', AUDIT_LOG_FILE_PATH: 'a.ndjson' }
    const rotation = { AUDIT_LOG_FILE_MAX_MB: '5', AUDIT_LOG_FILE_MAX_BACKUPS: '3', AUDIT_LOG_FILE_COMPRESS: 'false' }
    const [rotated] = destinationsOf({ ...file, ...rotation })
    assert.ok(rotated?.type === 'file')
    assert.deepEqual([rotated.maxMb, rotated.maxBackups, rotated.compress], [5, 3, false])
    const [plain] = destinationsOf(file)
    assert.ok(plain?.type === 'file')
    assert.deepEqual([plain.maxMb, plain.maxBackups, plain.compress], [undefined, undefined, undefined])
  })

  test('falls back to standard output while one of them fails, unless that has the records anyway', () => {
    const environment = { AUDIT_POSTGRES_URL: database, AUDIT_LOG_FILE_PATH: 'a' }
    const fallbacksOf = (types: string) => {
      return destinationsOf({ ...environment, AUDIT_LOG_DESTINATION: types }).map((one) => {
        return 'fallback' in one ? one.fallback : undefined
      })
    }
    assert.deepEqual(fallbacksOf('postgres,file'), ['stdout', 'stdout'])
    assert.deepEqual(fallbacksOf('stdout,postgres'), [undefined, undefined])
    assert.deepEqual(destinationsOf({}, { destinations: [{ type: 'otlp' }] }), [{ type: 'otlp' }])
  })

  test('makes every type of destination that there is out of its variables', () => {
    const examples = environmentSettings.filter(({ path }) => /_(PATH|ADDRESS|ENDPOINT|URL|BUCKET)$/.test(path))
    const environment = Object.fromEntries(examples.map(({ path, note }) => [path, note.example]))
    const exempt = ['exporter'] // a module of the user's, which needs options of its own
    for (const { shape } of destinationSchema.options) {
      const type = String(shape.type.value)
      if (exempt.includes(type)) continue
      assert.deepEqual(
        destinationsOf({ ...environment, AUDIT_LOG_DESTINATION: type }).map((one) => one.type),
        [type],
      )
    }
  })

  const needs: readonly (readonly [type: string, name: string])[] = [
    ['file', 'AUDIT_LOG_FILE_PATH'],
    ['http', 'AUDIT_LOG_HTTP_ENDPOINT'],
    ['syslog', 'AUDIT_LOG_SYSLOG_ADDRESS'],
    ['postgres', 'AUDIT_POSTGRES_URL'],
  ]
  for (const [type, name] of needs) {
    test(`is refused with ${type} and without ${name}`, () => {
      const { problems } = read({ AUDIT_LOG_DESTINATION: `stdout,${type}` })
      assert.deepEqual(problems, [
        {
          setting: name,
          message: `${name} is not set, and AUDIT_LOG_DESTINATION names ${type}, which needs it`,
          hint: `Set ${name}, or take ${type} out of AUDIT_LOG_DESTINATION.`,
        },
      ])
    })
  }

  test('gives way to destinations in code, which is said', () => {
    const { destinations, remarks } = read({ AUDIT_LOG_DESTINATION: 'stdout' }, { destinations: [{ type: 'otlp' }] })
    assert.deepEqual(destinations, [{ type: 'otlp' }])
    assert.deepEqual(remarks, ['AUDIT_LOG_DESTINATION is set, but code names the destinations: it has no effect'])
  })

  test('and AUDIT_DESTINATIONS are refused together', () => {
    const { problems } = read({ AUDIT_LOG_DESTINATION: 'stdout', AUDIT_DESTINATIONS: '[{"type":"stdout"}]' })
    assert.match(problems[0]?.message ?? '', /^AUDIT_LOG_DESTINATION and AUDIT_DESTINATIONS both say/)
  })

  test('a variable that no destination uses is said, not ignored', () => {
    const { remarks } = read({ AUDIT_POSTGRES_URL: database })
    assert.deepEqual(remarks, [
      'AUDIT_POSTGRES_URL is set, but there is no destination postgres: it has no effect (AUDIT_LOG_DESTINATION names them)',
    ])
  })
})

test('AUDIT_DESTINATIONS takes what code takes, as JSON', () => {
  const json = JSON.stringify([{ type: 'otlp', name: 'eu' }, { type: 'stdout' }])
  assert.deepEqual(destinationsOf({ AUDIT_DESTINATIONS: json }), JSON.parse(json))
})

describe('batches', () => {
  const limitsOf = (environment: NodeJS.ProcessEnv, options?: AuditOptions) => {
    return destinationsOf({ ...environment, AUDIT_POSTGRES_URL: database }, options).map((one) => {
      return [one.type, one.flushIntervalMs, one.batchRecordsMax]
    })
  }
  const both = { AUDIT_LOG_DESTINATION: 'stdout,postgres' }

  test('of a database are flushed after 30 seconds or at 500 records, of others at 1,000', () => {
    assert.deepEqual(limitsOf(both), [
      ['stdout', undefined, 1_000],
      ['postgres', 30_000, 500],
    ])
  })

  test('follow AUDIT_TRAIL_BUFFER_FLUSH_INTERVAL, _MAX_SIZE and AUDIT_LOG_BUFFER_SIZE', () => {
    const sizes = {
      AUDIT_TRAIL_BUFFER_FLUSH_INTERVAL: '0.5',
      AUDIT_TRAIL_BUFFER_MAX_SIZE: '50',
      AUDIT_LOG_BUFFER_SIZE: '7',
    }
    assert.deepEqual(limitsOf({ ...both, ...sizes }), [
      ['stdout', undefined, 7],
      ['postgres', 500, 50],
    ])
  })

  test('are of one record, sent at once, when AUDIT_TRAIL_BUFFER_ENABLED is false', () => {
    assert.deepEqual(limitsOf({ ...both, AUDIT_TRAIL_BUFFER_ENABLED: 'false', AUDIT_TRAIL_BUFFER_MAX_SIZE: '50' }), [
      ['stdout', undefined, 1_000],
      ['postgres', 0, 1],
    ])
  })

  test('of a database in code follow what the environment says, where code leaves it open', () => {
    const destinations = [{ type: 'postgres', url: database, batchRecordsMax: 3 } as const]
    assert.deepEqual(limitsOf({ AUDIT_TRAIL_BUFFER_FLUSH_INTERVAL: '9' }, { destinations }), [['postgres', 9_000, 3]])
    assert.deepEqual(limitsOf({}, { destinations }), [['postgres', undefined, 3]])
  })
})

test('AUDIT_TRAIL_ASYNC=false makes emitRequired wait for the database', () => {
  const environment = { AUDIT_LOG_DESTINATION: 'postgres', AUDIT_POSTGRES_URL: database, AUDIT_TRAIL_ASYNC: 'false' }
  assert.equal(readConfig({ options: {}, environment }).config?.requiredUntil, 'postgres')
  const named = { async: false, destinations: [{ type: 'postgres', name: 'ledger', url: database }] } as const
  assert.equal(readConfig({ options: named }).config?.requiredUntil, 'ledger')
  assert.equal(readConfig({ options: {} }).config?.requiredUntil, 'durable')
})
