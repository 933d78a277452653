import { JsonLogsSerializer } from '@opentelemetry/otlp-transformer'
import { JsonRequestEncoder } from '../../src/destination/otlp-json.ts'
import { testEncoder } from './encoders.ts'

testEncoder(() => new JsonRequestEncoder(), JsonLogsSerializer)
