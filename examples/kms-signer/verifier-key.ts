/**
 * Prints the verifier key of a key in AWS KMS under the name of a deployment (needs `kms:GetPublicKey`):
 *
 *   node verifier-key.ts alias/audit prod > audit.vkey
 */

import { createHash } from 'node:crypto'
import { GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms'

const [keyId, name = ''] = process.argv.slice(2)
const endpoint = process.env.AWS_ENDPOINT_URL_KMS
const client = new KMSClient(endpoint === undefined ? {} : { endpoint })
const { PublicKey, KeySpec } = await client.send(new GetPublicKeyCommand({ KeyId: keyId }))
if (PublicKey === undefined || KeySpec !== 'ECC_NIST_EDWARDS25519')
  throw new Error(`${keyId} is of the spec ${KeySpec}`)
// docs/formats.md: NAME+KEYID+base64(0x01 ‖ public key); the key is the end of its SubjectPublicKeyInfo.
const typed = Buffer.concat([Buffer.of(0x01), PublicKey.subarray(-32)])
const keyHash = createHash('sha256').update(`${name}\n`).update(typed).digest('hex').slice(0, 8)
console.log(`${name}+${keyHash}+${typed.toString('base64')}`)
