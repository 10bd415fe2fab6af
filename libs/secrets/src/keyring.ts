import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import type { Sealed } from '@edgesmith/contract/secret'

/** Bytes of a key (AES-256), of a nonce and of an authentication tag (NIST SP 800-38D, GCM). */
export const keyBytes = 32
const nonceBytes = 12
const tagBytes = 16

/** A text cannot be unsealed: `unknown-key`, or `damaged` when it is not what was sealed, for what it was. */
export class UnsealError extends Error {
  override name = 'UnsealError'
  readonly reason: 'unknown-key' | 'damaged'

  constructor(reason: 'unknown-key' | 'damaged', options?: ErrorOptions) {
    super(
      reason === 'unknown-key'
        ? 'It is sealed with a key that the service does not have.'
        : 'What is stored is not what was sealed.',
      options,
    )
    this.reason = reason
  }
}

type Key = { readonly id: string; readonly bytes: Buffer }

/** What a sealed text is for: it is unsealed for the same alone. */
export type Purpose = readonly string[]

/**
 * The keys that texts are sealed with (AES-256-GCM): the first seals, all of them unseal. A text is sealed with a
 * key of its own, so that sealing it with a newer key does not handle the text.
 */
export class Keyring {
  readonly #keys: readonly [Key, ...Key[]]

  /** @param keys `keyBytes` bytes each, the newest first. @throws RangeError for none, or one of another length */
  constructor(keys: readonly Buffer[]) {
    const [newest, ...older] = keys.map((bytes) => {
      if (bytes.length !== keyBytes) throw new RangeError(`A key has ${keyBytes} bytes.`)
      return { id: idOf(bytes), bytes }
    })
    if (newest === undefined) throw new RangeError('A keyring has a key at least.')
    this.#keys = [newest, ...older]
  }

  /** The key that seals. */
  get newestId(): string {
    return this.#keys[0].id
  }

  /** Seals a text for a purpose. */
  seal(text: string, purpose: Purpose): Sealed {
    const [newest] = this.#keys
    const own = randomBytes(keyBytes)
    const sealed = {
      keyId: newest.id,
      wrappedKey: encrypt(newest.bytes, own, wrapping(purpose)),
      box: encrypt(own, Buffer.from(text), encoded(purpose)),
    }
    own.fill(0)
    return sealed
  }

  /** Unseals a text. @throws UnsealError */
  unseal(sealed: Sealed, purpose: Purpose): string {
    const own = this.#unwrap(sealed, purpose)
    const text = decrypt(own, sealed.box, encoded(purpose)).toString('utf8')
    own.fill(0)
    return text
  }

  /** The same text sealed with the newest key. @throws UnsealError */
  reseal(sealed: Sealed, purpose: Purpose): Sealed {
    const [newest] = this.#keys
    if (sealed.keyId === newest.id) return sealed
    const own = this.#unwrap(sealed, purpose)
    const wrappedKey = encrypt(newest.bytes, own, wrapping(purpose))
    own.fill(0)
    return { ...sealed, keyId: newest.id, wrappedKey }
  }

  /** A digest of a text, lowercase hex, that tells nothing of it to anybody without the newest key. */
  digest(text: string, purpose: Purpose): string {
    const key = Buffer.from(hkdfSync('sha256', this.#keys[0].bytes, '', 'edgesmith digest', keyBytes))
    return createHmac('sha256', key).update(encoded(purpose)).update('\0').update(text).digest('hex')
  }

  #unwrap({ keyId, wrappedKey }: Sealed, purpose: Purpose): Buffer {
    const key = this.#keys.find(({ id }) => id === keyId)
    if (key === undefined) throw new UnsealError('unknown-key')
    return decrypt(key.bytes, wrappedKey, wrapping(purpose))
  }
}

/** Names a key without telling anything of it. */
function idOf(key: Buffer): string {
  return createHash('sha256').update('edgesmith key\0').update(key).digest('hex').slice(0, 16)
}

function encoded(purpose: Purpose): Buffer {
  return Buffer.from(JSON.stringify(purpose))
}

/** A wrapped key cannot be taken for a text, nor the other way round. */
function wrapping(purpose: Purpose): Buffer {
  return encoded(['key', ...purpose])
}

function encrypt(key: Buffer, text: Buffer, purpose: Buffer): string {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(purpose)
  const parts = [nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]
  return Buffer.concat(parts).toString('base64')
}

function decrypt(key: Buffer, box: string, purpose: Buffer): Buffer {
  const bytes = Buffer.from(box, 'base64')
  if (bytes.length < nonceBytes + tagBytes) throw new UnsealError('damaged')
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  })
    .setAAD(purpose)
    .setAuthTag(bytes.subarray(-tagBytes))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()])
  } catch (error) {
    throw new UnsealError('damaged', { cause: error })
  }
}
