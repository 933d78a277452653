/** Texts made to slow a search down: beginnings without end, ends without beginning, and almost matches. */

const pieces = [
  ...['a', '1', ' ', '-', '.', ':', '/', '\\', '@', '=', '"', "'", '%', '[', ']', '~', '_', '+', '\n', 'é', '😀'],
  ...['a@', '@a', 'a.', '.a', 'a@a', 'a@a.', '"@', '@[', '@tcp(', 'a:@tcp('],
  ...['://', 'a://', 'a://a', 'a://a:', 'a://a:b/', 'a://a:b@', 'x://a:b/c?d', 'file://', 'file://a', 'file:///'],
  ...['eyJ', 'eyJhbGciOi', 'eyJhbGciOi.', 'eyJhbGciOi.a', 'eyJ.', 'eyJhbGciOi.eyJ.'],
  ...['AKIA', 'AKIAIOSFODNN7EXAMPL', 'AKIAIOSFODNN7EXAMPLE', 'ghp_', 'sk-', 'xoxb-', 'whsec_', 'SG.', 'glpat-', '8Q~'],
  ...['-----BEGIN ', '-----BEGIN A-----', '-----END ', '-----END A-----', '-----'],
  ...['bearer ', 'Bearer a', 'bearer  ', 'basic ', 'basic YTpi', 'r ', 'c '],
  ...[
    'password=',
    'password:',
    'password="',
    'password=\\"',
    'pwd=a',
    'token: ',
    'authorization: a ',
    'cookie: ',
    'd=',
  ],
  ...['api key: ', '"secret"', '\\"secret\\":', 'key=', 'secretsecret=', 'd=d='],
  ...['4111 ', '4111-', '4111 1111 1111 111', '411111111111111', '4444', '4 4 4 4 ', '0.4111111111111111 '],
  ...['1.', '1.1', '1.1.1.', '1.1.1.1', '1.1.1.1.', '256.', '0x1.'],
  ...['::', ':', 'a:', '1:2:', '1::', '::1', 'fe80::1%', '1:2:3:4:5:6:7:', '1:2:3:4:5:6:7:8:', '::ffff:1.1.1.', 'x::'],
  ...['/a', '/a/', '/a/b', "'/a/b", '"/a/b ', '//a', '\\\\a', '\\\\a\\b', 'C:\\', 'C:\\a\\b ', 'C:\\a b\\', '/a/b:1'],
  ...['pid', 'pid=', 'pid:', 'pid= ', 'pid="', 'ppid=1'],
  ...['[REDACTED]', '[REDACTED', 'pseudonym:', `pseudonym:${'a'.repeat(27)}`, `pseudonym:${'a'.repeat(26)}`],
]

/** Each piece again and again, alone and between others, about so many characters long. */
export function* hostileTexts(length: number): Generator<string> {
  for (const piece of pieces) {
    yield piece.repeat(Math.ceil(length / piece.length))
    yield `x${piece.repeat(Math.ceil(length / piece.length))}@`
    const spaced = `${piece} `
    yield spaced.repeat(Math.ceil(length / spaced.length))
  }
  for (const [index, piece] of pieces.entries()) {
    const pair = piece + (pieces[(index * 7 + 3) % pieces.length] ?? '')
    yield pair.repeat(Math.ceil(length / pair.length))
  }
}
