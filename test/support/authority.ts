/** A certificate authority for one test, made with openssl; its certificates last a day. */

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { join } from 'node:path'

export interface Authority {
  readonly caFile: string
  /** A certificate for a subject alternative name such as `IP:127.0.0.1`. */
  issue(name: string, subjectAltName: string, days?: number): { readonly certFile: string; readonly keyFile: string }
}

export function makeAuthority(directory: string): Authority {
  fs.mkdirSync(directory, { recursive: true })
  const at = (name: string) => join(directory, name)
  const run = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  run('req', '-x509', ...key, '-subj', '/CN=authority', '-days', '1', '-keyout', at('ca.key'), '-out', at('ca.pem'))
  return {
    caFile: at('ca.pem'),
    issue(name, subjectAltName, days = 1) {
      const [keyFile, certFile, request, extensions] = [`${name}.key`, `${name}.pem`, `${name}.csr`, `${name}.ext`].map(
        at,
      )
      if (keyFile === undefined || certFile === undefined || request === undefined || extensions === undefined)
        throw new Error('unreachable')
      fs.writeFileSync(extensions, `subjectAltName=${subjectAltName}\n`)
      run('req', ...key, '-subj', `/CN=${name}`, '-keyout', keyFile, '-out', request)
      const signer = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial']
      run('x509', '-req', '-in', request, ...signer, '-days', String(days), '-extfile', extensions, '-out', certFile)
      return { keyFile, certFile }
    },
  }
}
