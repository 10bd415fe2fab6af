import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** An API key in its parts: the name of its record, and what only its holder knows. */
export type KeyText = { readonly id: string; readonly secret: string }

/** 64 bits of a name that may be told, and a secret of 256 bits, both hex: `openssl rand` makes them too. */
const pattern = /^esk_([0-9a-f]{16})_([0-9a-f]{64})$/

/** What an API key looks like, for messages. */
export const keyForm = 'esk_<16 hex digits>_<64 hex digits>'

/** Makes a secret of 256 random bits. */
export function newSecret(): string {
  return randomBytes(32).toString('hex')
}

/** Makes a key, of a name given or a new one. */
export function newKeyText(id = randomBytes(8).toString('hex')): KeyText {
  return { id, secret: newSecret() }
}

/** The key as its holder sends it. */
export function formatKey({ id, secret }: KeyText): string {
  return `esk_${id}_${secret}`
}

/** A key in its parts; undefined for what is no key. */
export function parseKey(text: string): KeyText | undefined {
  const [, id, secret] = pattern.exec(text) ?? []
  return id === undefined || secret === undefined ? undefined : { id, secret }
}

/** Whether a text means to be an API key. */
export function looksLikeKey(text: string): boolean {
  return text.startsWith('esk_')
}

/**
 * What is stored of a secret. A plain SHA-256 is enough: nobody guesses 256 random bits, which is what slow
 * hashes of passwords are there to hinder, and every request can afford it.
 */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** Whether a secret has the hash; takes the same time either way. */
export function hasHash(secret: string, hash: string): boolean {
  return timingSafeEqual(Buffer.from(hashSecret(secret), 'hex'), Buffer.from(hash, 'hex'))
}
