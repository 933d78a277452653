/** Every form of every content rule: what must go, and what only looks like it. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { redactRemoteAddr, redactText } from '../../../src/policy/redact-text.ts'
import type { ContentRule } from '../../../src/policy/redaction/match.ts'

const R = '[REDACTED]'
const home = `/${'home'}/ann`
const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const alphanumerics = (length: number): string => 'aB3dE6gH9j'.repeat(30).slice(0, length)
const capitals = (length: number): string => 'ABCDEFGHIJKLMNOP2345'.repeat(4).slice(0, length)
const hexadecimals = (length: number): string => '0123456789abcdef'.repeat(5).slice(0, length)

/** Texts, and what is left of them; a single text stays as it is. */
type Row = readonly [text: string, redacted?: string]

const table: Readonly<Record<ContentRule, readonly Row[]>> = {
  pid: [
    ['pid=4711 died', `pid=${R} died`],
    ['pid: 4711', `pid: ${R}`],
    ['PID=1,ppid=2', `PID=${R},ppid=${R}`],
    ['pid = 12', `pid = ${R}`],
    ['{"pid":12,"worker_pid": 13}', `{"pid":${R},"worker_pid": ${R}}`],
    ['workerPid=9', `workerPid=${R}`],
    ['rapid=5, stupid: 5, pid of 5, pid=x'],
  ],
  ipv4: [
    ['10.0.0.7', R],
    ['from 203.0.113.7:52311 to 192.168.1.1:443', `from ${R}:52311 to ${R}:443`],
    ['net 10.1.0.0/16', `net ${R}/16`],
    ['http://127.0.0.1:9090/x', `http://${R}:9090/x`],
    ['ip-10.0.0.7.', `ip-${R}.`],
    ['x10.0.0.7y', `x${R}y`],
    ['010.000.000.007', R],
    ['256.1.1.1, 1.2.3, 1.2.3.4.5, 3.14, 1.2.3.4567, Chrome/120.0.0.0'],
  ],
  ipv6: [
    ['2001:DB8:0:0:8:800:200C:417A', R],
    ['FF01:0:0:0:0:0:0:101 and FF01::101', `${R} and ${R}`],
    ['2001:DB8::8:800:200C:417A', R],
    ['::1', R],
    ['bound to :: now', `bound to ${R} now`],
    ['0:0:0:0:0:0:13.1.68.3 or ::13.1.68.3', `${R} or ${R}`],
    ['0:0:0:0:0:FFFF:129.144.52.38, ::FFFF:129.144.52.38', `${R}, ${R}`],
    ['64:ff9b::192.0.2.33', R],
    ['2001:0DB8::CD30:0:0:0:0/60', `${R}/60`],
    ['2001:db8::/32', `${R}/32`],
    ['[2001:db8::1]:443', `${R}:443`],
    ['https://[2001:db8::1]:8443/x', `https://${R}:8443/x`],
    ['fe80::1%eth0', R],
    ['[fe80::1%25en0]:22', `${R}:22`],
    ['fe80::a%br-lan, next', `${R}, next`],
    ['addr:2001:db8::1.', `addr:${R}.`],
    ['1:2:3:4:5:6:7:8:443', `${R}:443`],
    ['x2001:db8::1y', `x${R}y`],
    ['1::', R],
    ['10:20:30, 2026-11-22T15:28:21, aa:bb:cc:dd:ee:ff, std::string, Foo::Bar, a:b, 1:2:3:4:5:6:7'],
  ],
  path: [
    ['/var/log/app.log', `/var/${R}`],
    [`open '${home}/My Files/x.txt' failed`, `open '/${'home'}/${R}' failed`],
    ['at run (/srv/app/src/x.ts:10:5)', `at run (/srv/${R}:10:5)`],
    ['file:///etc/ssl/key.pem', `file:///etc/${R}`],
    ['file://host/share/x/y', `file://host/share/${R}`],
    ['//etc/passwd', `//etc/${R}`],
    ['PATH=/usr/local/bin:/opt/x', `PATH=/usr/${R}`],
    ['see /etc/app/x.conf, or not.', `see /etc/${R}, or not.`],
    ['C:\\Users\\ann\\x.txt', `C:\\Users\\${R}`],
    ['"C:\\Program Files\\My App\\a b.exe" ran', `"C:\\Program Files\\${R}" ran`],
    ['C:\\Program Files\\My App\\a.exe ran', `C:\\Program Files\\${R} ran`],
    ['d:/data/x/y', `d:/data/${R}`],
    ['{"path":"C:\\\\Users\\\\ann"}', `{"path":"C:\\\\Users\\\\${R}"}`],
    ['\\\\server\\share\\dir\\x', `\\\\server\\${R}`],
    ['/etc, /tmp/, a/b/c, ./a/b, https://example.com/a/b/c, application/json, 1/2/3, C:\\, ~/x/y'],
  ],
  email: [
    ['ann@example.com', R],
    ['mail <Ann.B+tag@sub.example.co.uk>, ok', `mail <${R}>, ok`],
    ['"ann b"@example.com', R],
    ["o'brien@example.com", R],
    ['ann@münchen.example', R],
    ['jörg@example.com', R],
    ['ann@[192.0.2.1]', R],
    ['xann@example.com.', `x${R}.`.replace('x[', '[')],
    ['user@localhost, @handle, a@b, npm i x@1.2.3, @scope/pkg'],
  ],
  bearer: [
    ['Bearer mF_9.B5f-4.1JqM', `Bearer ${R}`],
    ['Authorization: bearer  abcdef12', `Authorization: ${R}`],
    ['got BEARER\tabcdefgh1 twice', `got BEARER\t${R} twice`],
    ['Bearer authentication failed; bearer of news'],
  ],
  basic: [
    ['Basic dXNlcjpwYXNzd29yZA==', `Basic ${R}`],
    ['proxy sent basic dTpw', `proxy sent basic ${R}`],
    ['Basic authentication, basic auth, basic needs'],
  ],
  jwt: [
    [jwt, R],
    [`x${jwt}.`, `x${R}.`],
    ['eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.', `${R}.`],
    ['eyJhbGciOiJSU0EtT0FFUCJ9.OKOawDo13g.48V1_ALb6US04U3b.5eym8TW_c8SuK0lt.XFBoMYUZod', R],
    ['eyJ, eyJhbGciOiJIUzI1NiJ9 alone, a.b.c'],
  ],
  pem: [
    ['k: -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nend', `k: ${R}\nend`],
    ['-----BEGIN RSA PRIVATE KEY-----\\nMIIE\\n-----END RSA PRIVATE KEY-----', R],
    ['-----BEGIN CERTIFICATE-----\nMIIC', R],
    ['----- BEGIN -----, -----BEGIN here'],
  ],
  cloud_key: [
    ['AKIAIOSFODNN7EXAMPLE', R],
    [`ASIA${capitals(16)}`, R],
    [`AIza${alphanumerics(35)}`, R],
    [`GOCSPX-${alphanumerics(28)}`, R],
    [`ya29.${alphanumerics(60)}`, R],
    [`abc8Q~${alphanumerics(34)}`, R],
    ...['ghp', 'gho', 'ghu', 'ghs', 'ghr'].map((kind): Row => [`${kind}_${alphanumerics(36)}`, R]),
    [`github_pat_${alphanumerics(22)}_${alphanumerics(59)}`, R],
    [`glpat-${alphanumerics(20)}`, R],
    [`xoxb-123456789012-${alphanumerics(24)}`, R],
    [`xapp-1-A1-1-${alphanumerics(24)}`, R],
    [`sk_live_${alphanumerics(24)}`, R],
    [`rk_test_${alphanumerics(24)}`, R],
    [`whsec_${alphanumerics(20)}+/${alphanumerics(9)}=`, R],
    [`sk-proj-${alphanumerics(40)}`, R],
    [`sk-ant-api03-${alphanumerics(40)}`, R],
    [`hf_${alphanumerics(34)}`, R],
    [`npm_${alphanumerics(36)}`, R],
    [`pypi-${alphanumerics(40)}`, R],
    [`SG.${alphanumerics(22)}.${alphanumerics(43)}`, R],
    [`dop_v1_${hexadecimals(64)}`, R],
    [`dckr_pat_${alphanumerics(27)}`, R],
    [`dapi${hexadecimals(32)}`, R],
    [`hvs.${alphanumerics(90)}`, R],
    [`shpat_${hexadecimals(32)}`, R],
    [`ATATT3${alphanumerics(60)}`, R],
    [`glsa_${alphanumerics(32)}_deadbeef`, R],
    [`lin_api_${alphanumerics(40)}`, R],
    [`SK${hexadecimals(32)}`, R],
    [`AGE-SECRET-KEY-1${capitals(58)}`, R],
    ['xAKIAIOSFODNN7EXAMPLEy', `x${R}y`],
    ['AKIA, ghp_short, sk-1, 019b7ca9-8dff-7000-8000-000000000001, someVeryLongCamelCaseIdentifierName'],
  ],
  url_credentials: [
    ['postgres://app:s3cret@db:5432/x', `postgres://${R}@db:5432/x`],
    ['https://user:p%40ss@example.com/a?b=c', `https://${R}@example.com/a?b=c`],
    ['redis://:secret@cache:6379', `redis://${R}@cache:6379`],
    ['mongodb+srv://u:p@c.example.net', `mongodb+srv://${R}@c.example.net`],
    ['amqp://u:p@ss@host', `amqp://${R}@host`],
    ['mysql://u:p/w?d@h/db', `mysql://${R}@h/db`],
    ['app:s3cret@tcp(db:3306)/x', `${R}@tcp(db:3306)/x`],
    ['https://example.com:8080/@scope, ssh://git@host/x, http://h/a:b@c, 12:30 @ noon'],
  ],
  credential: [
    ['password=hunter2', `password=${R}`],
    ['Password: hunter2, next', `Password: ${R}, next`],
    ['Server=db;User Id=app;Password=s3cret;Encrypt=true', `Server=db;User Id=app;Password=${R};Encrypt=true`],
    ['AccountName=x;AccountKey=abc+/def==;EndpointSuffix=y', `AccountName=x;AccountKey=${R};EndpointSuffix=y`],
    ['Endpoint=sb://x/;SharedAccessKey=abc=', `Endpoint=sb://x/;SharedAccessKey=${R}`],
    ['host=db password=s3cret dbname=x', `host=db password=${R} dbname=x`],
    ['/cb?access_token=abc&state=1', `/cb?access_token=${R}&state=1`],
    ['?sv=1&sig=abc%3D&se=2', `?sv=1&sig=${R}&se=2`],
    ['X-Amz-Signature=deadbeef', `X-Amz-Signature=${R}`],
    ['{"api_key":"a b","n":1}', `{"api_key":"${R}","n":1}`],
    ['{\\"secret\\":\\"abc\\"}', `{\\"secret\\":\\"${R}\\"}`],
    ["client_secret = 'a b'", `client_secret = '${R}'`],
    ['api key: abc', `api key: ${R}`],
    ['Authorization: Digest username="x", response=1', `Authorization: ${R}"x", response=1`],
    ['Cookie: a=b; c=d\nHost: x', `Cookie: ${R}\nHost: x`],
    ['password=, password="", token: null, tokens=5, secretary: Ann, keyboard=x, primary key: id'],
  ],
  card: [
    ['4111111111111111', R],
    ['4111 1111 1111 1111', R],
    ['5500-0000-0000-0004 exp 12/27', `${R} exp 12/27`],
    ['2223000048400011', R],
    ['378282246310005 or 3782 822463 10005', `${R} or ${R}`],
    ['30569309025904', R],
    ['6011111111111117', R],
    ['3530111333300000', R],
    ['6200000000000005', R],
    ['4222222222222', R],
    ['x4111111111111111y', `x${R}y`],
    ['order 12 4111 1111 1111 1111', `order 12 ${R}`],
    ['4111111111111112, 1763825301123, 0.4111111111111111, d41d8cd98f004111111111111111ecf8427e, 41111111111111111111'],
  ],
}

/** The whole texts of rows that only one rule may touch. */
const onlyOf = (rule: ContentRule, text: string) => redactText(text).counts[rule] ?? 0

for (const [rule, rows] of Object.entries(table) as [ContentRule, readonly Row[]][]) {
  describe(`content rule ${rule}`, () => {
    for (const [text, redacted] of rows) {
      if (redacted === undefined) {
        it(`leaves ${text}`, () => assert.equal(onlyOf(rule, text), 0))
        continue
      }
      it(`hides ${text.slice(0, 60)}`, () => assert.equal(redactText(text).text, redacted))
    }
  })
}

describe('redactText', () => {
  it('counts what it hides, by rule, and says nothing of rules that found nothing', () => {
    assert.deepEqual(redactText('pid=1 pid=2 from 10.0.0.1:443 as ann@example.com'), {
      text: `pid=${R} pid=${R} from ${R}:443 as ${R}`,
      counts: { pid: 2, ipv4: 1, email: 1 },
    })
    assert.deepEqual(redactText('a plain sentence'), { text: 'a plain sentence', counts: {} })
  })

  it('follows the preset and the rules of its options', () => {
    const text = 'pid=1 EMP-000042 password=x'
    assert.equal(redactText(text, {}).text, `pid=1 EMP-000042 password=${R}`)
    assert.equal(redactText(text, { preset: 'off' }).text, text)
    const options = { preset: 'daemon', rules: [{ id: 'employee', pattern: 'EMP-\\d{6}' }] } as const
    assert.deepEqual(redactText(text, options), {
      text: `pid=${R} ${R} password=${R}`,
      counts: { pid: 1, 'rule:employee': 1, credential: 1 },
    })
  })

  it('shortens and pseudonymizes where it is told to', () => {
    const options = { preset: 'strict', modes: { ipv4: 'truncate', ipv6: 'truncate', email: 'remove' } } as const
    const once = redactText('10.1.2.3:443 [2001:db8:1:2::3]:22 <ann@example.com>', options).text
    assert.equal(once, '10.1.2.0/24:443 [2001:db8:1::/48]:22 <>')
    assert.deepEqual(redactText(once, options), { text: once, counts: {} })
  })

  it('masks a text whole that goes on matching however often it was redacted', () => {
    const options = { rules: [{ id: 'ab', pattern: 'ab', mode: 'remove' }] } as const
    assert.equal(redactText('aaabbb', options).text, '')
    assert.equal(redactText('a'.repeat(9) + 'b'.repeat(9), options).text, R)
  })
})

describe('redactRemoteAddr', () => {
  const rows: readonly Row[] = [
    ['203.0.113.7', R],
    ['203.0.113.7:52311', `${R}:52311`],
    ['[2001:db8::1]:443', `${R}:443`],
    ['[2001:db8::1]', R],
    ['2001:db8::1', R],
    ['::ffff:10.0.0.1', R],
    ['fe80::1%eth0', R],
    ['db.internal:5432', `${R}:5432`],
    ['unix:/run/x.sock', R],
    [R, R],
    [`${R}:443`, `${R}:443`],
    ['', ''],
  ]
  for (const [address, redacted] of rows) {
    it(`makes ${JSON.stringify(redacted)} of ${JSON.stringify(address)}`, () => {
      assert.equal(redactRemoteAddr(address), redacted)
    })
  }
})
