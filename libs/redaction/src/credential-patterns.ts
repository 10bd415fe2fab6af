import { mask } from './redactor.ts'

/** What a credential looks like wherever it is written, and what is left of it. */
const patterns: readonly (readonly [RegExp, string])[] = [
  // API keys: the name of the key stays, so that a line can be followed up.
  [/\besk_([A-Za-z0-9-]{1,64})_[A-Za-z0-9_-]{8,256}/g, `esk_$1_${mask}`],
  [/\b(Bearer|Basic)( |%20)[A-Za-z0-9._~+/=-]{4,8192}/gi, `$1$2${mask}`],
  [
    /([?&](?:amp;)?(?:signature|X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token)=)[^&\s"'\\]{1,1024}/gi,
    `$1${mask}`,
  ],
  [/((?:[?&](?:amp;)?|\\u0026)(?:signature|X-Amz-Signature)=)[^&\s"'\\]{1,1024}/gi, `$1${mask}`],
  [/(:\/\/[^\s/:@"'\\?#]{0,1024}):[^\s/@"'\\?#]{1,1024}@/g, `$1:${mask}@`],
  [
    /((?:authorization|apikey|api-key|x-api-key|cookie|edgesmith-principal|idempotency-key)(?:"|\\")?\s{0,4}[:=]\s{0,4}(?:"|\\")?)(?:(?:Bearer|Basic|Digest) )?[^\s"\\,}]{1,8192}/gi,
    `$1${mask}`,
  ],
]

/** The text without what looks like a credential: API keys, tokens in headers, signatures and passwords of URLs. */
export function withoutCredentials(text: string): string {
  return patterns.reduce((redacted, [pattern, left]) => redacted.replaceAll(pattern, left), text)
}
