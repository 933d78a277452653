import { ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer'
import { ProtobufRequestEncoder } from '../../src/destination/otlp-protobuf.ts'
import { testEncoder } from './encoders.ts'

testEncoder(() => new ProtobufRequestEncoder(), ProtobufLogsSerializer)
