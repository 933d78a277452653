/**
 * A signer by AWS KMS (docs/keys.md): the key never leaves the service, and every signature stands in its log.
 *
 *   keys: { signer: { module: './signer.ts', verifierKey: 'prod+…', options: { keyId: 'alias/audit', region: 'eu-west-1' } } }
 *
 * The key is of the spec ECC_NIST_EDWARDS25519, for SIGN_VERIFY; whoever runs the service may `kms:Sign` with it, and
 * nothing else. Credentials are found where the client of AWS looks for them. `verifier-key.ts` prints the verifier key.
 */

import { KMSClient, SignCommand } from '@aws-sdk/client-kms'

interface Options {
  /** Id, ARN or alias of the key. */
  readonly keyId: string
  readonly region?: string
  /** Another address than that of the region. */
  readonly endpoint?: string
}

/** Less than a signer has: what is not answered by then is asked again. */
const answerMsMax = 8_000

export function createSigner({ keyId, region, endpoint }: Options) {
  const client = new KMSClient({ ...(region && { region }), ...(endpoint && { endpoint }) })
  return {
    async sign(text: Uint8Array): Promise<Uint8Array> {
      // Pure Ed25519, as verification asks for: ED25519_PH_SHA_512 would sign a digest.
      const asked = { KeyId: keyId, Message: text, MessageType: 'RAW', SigningAlgorithm: 'ED25519_SHA_512' } as const
      const { Signature } = await client.send(new SignCommand(asked), { abortSignal: AbortSignal.timeout(answerMsMax) })
      if (Signature === undefined) throw new Error(`KMS has signed nothing with ${keyId}`)
      return Signature
    },
  }
}
