/**
 * A real Kafka broker, one node in KRaft mode: its jars come from Maven once (half a minute), found in the cache
 * afterwards, started on free loopback ports with its log in a folder of the test.
 */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { requireTool, runStep } from './build.ts'
import { installOnce, partDirectory } from './cache.ts'
import { freePort } from './process.ts'
import { listens, OwnedServer } from './server.ts'

const version = '4.1.0'
const readyMsMax = 60_000
const skipped = 'Kafka: the tests of gateway-kafka.yaml'

const project = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>otel-audit</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${version}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${version}</version></dependency>
  </dependencies>
</project>
`

const jarDirectory = () => join(partDirectory('kafka', version, project), 'jars')

/** Folder of the broker's jars, or `undefined` where `npm run parts` has not fetched them. */
export function kafkaJars(): string | undefined {
  return existsSync(jarDirectory()) ? jarDirectory() : undefined
}

/** Why a test that needs the broker is skipped where the part is absent. */
export const kafkaAbsent = 'Kafka is not there: npm run parts -- kafka'

/** Fetches the jars unless the cache holds them. Throws MissingToolError without Maven or Java. */
export async function fetchKafka({ onProgress }: { onProgress: (line: string) => void }): Promise<string> {
  await installOnce(partDirectory('kafka', version, project), async (workshop) => {
    requireTool('java', ['-version'], skipped)
    requireTool('mvn', ['--version'], skipped)
    writeFileSync(join(workshop, 'pom.xml'), project)
    onProgress('fetching the broker (half a minute)')
    const goal = ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=jars']
    await runStep('mvn', goal, { cwd: workshop, env: process.env, onProgress })
    rmSync(join(workshop, 'target'), { recursive: true, force: true })
  })
  return jarDirectory()
}

export interface RunningKafka {
  /** `127.0.0.1:port` */
  readonly broker: string
  createTopic(name: string): void
  /** Every message of a topic, one a line, as `kafka-console-consumer.sh` prints them. */
  readTopic(name: string): string
  /** SIGKILL. */
  kill(): Promise<void>
  start(): Promise<void>
}

/** Makes a broker in a folder and starts it; what it says goes to `kafka.log` there. */
export async function startKafka(dir: string): Promise<RunningKafka> {
  mkdirSync(dir, { recursive: true })
  const [port, controller] = [await freePort(), await freePort()]
  const properties = join(dir, 'server.properties')
  writeFileSync(properties, settings(dir, port, controller))
  const java = (main: string, ...args: readonly string[]) => [
    '-Xmx256m',
    '-XX:+UseSerialGC',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    '-cp',
    `${jarDirectory()}/*`,
    main,
    ...args,
  ]
  const run = (main: string, ...args: readonly string[]) =>
    execFileSync('java', java(main, ...args), {
      cwd: dir,
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  run('kafka.tools.StorageTool', 'format', '--cluster-id', 'b3RlbC1hdWRpdC10ZXN0cw', '--config', properties)
  const broker = `127.0.0.1:${port}`
  const server = new OwnedServer({
    name: 'the broker',
    dir,
    log: 'kafka.log',
    command: 'java',
    args: java('kafka.Kafka', properties),
    readyMsMax,
    isReady: () => listens(port),
  })
  await server.start()
  return {
    broker,
    createTopic: (name) => {
      const limits = ['--partitions', '3', '--replication-factor', '1', '--config', 'max.message.bytes=16777216']
      run('org.apache.kafka.tools.TopicCommand', '--bootstrap-server', broker, '--create', '--topic', name, ...limits)
    },
    readTopic: (name) => {
      const options = ['--bootstrap-server', broker, '--topic', name, '--from-beginning', '--timeout-ms', '8000']
      return run('org.apache.kafka.tools.consumer.ConsoleConsumer', ...options)
    },
    kill: () => server.kill(),
    start: () => server.start(),
  }
}

function settings(dir: string, port: number, controller: number): string {
  return `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controller}
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=${join(dir, 'log')}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
message.max.bytes=16777216
`
}
