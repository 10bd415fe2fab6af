/** Fewest characters of a value that is masked wherever it is found; shorter ones stand in too much by chance. */
export const shortestForm = 8

/**
 * The forms that a secret is written in: as it is, its lines one by one and joined, in base64 (also inside of a
 * longer text), percent-encoded, escaped for JSON, YAML and a shell, and in hexadecimal. All have at least
 * `shortestForm` characters.
 */
export function writtenForms(secret: string): Set<string> {
  const forms = new Set<string>()
  const add = (form: string) => {
    if (form.length >= shortestForm) forms.add(form)
  }
  const lines = secret.split(/\r\n|\n|\r/)
  const joined = lines.join('')
  for (const text of new Set([secret, secret.trim(), printed(joined), ...lines.filter(isTelling)])) {
    if (text.length < shortestForm) continue
    add(text)
    const json = JSON.stringify(text).slice(1, -1)
    for (const form of [json, json.replaceAll('/', '\\/'), JSON.stringify(json).slice(1, -1), asGo(json)])
      add(form)
    add(text.replaceAll("'", "''"))
    add(text.replaceAll("'", "'\\''"))
    add(text.replaceAll("'", `'"'"'`))
    add(text.replaceAll(/[\\"$`]/g, '\\$&'))
    for (const form of percentForms(text)) add(form)
    const bytes = Buffer.from(text)
    for (const form of base64Forms(bytes)) add(form)
    add(bytes.toString('hex'))
    add(bytes.toString('hex').toUpperCase())
  }
  return forms
}

/** Whether a line says something of the secret it is of: the frame of a PEM block does not. */
function isTelling(line: string): boolean {
  return !/^\s*-----(BEGIN|END) [A-Z0-9 ]+-----\s*$/.test(line)
}

/** A text as lines of a log have it: without control characters. */
function printed(text: string): string {
  return text.replaceAll(/[^\P{Cc}\t]/gu, '')
}

/** Go's JSON escapes what HTML gives a meaning (`encoding/json`, "HTMLEscape"). */
function asGo(json: string): string {
  return json.replaceAll(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)
}

/** Which characters are left as they are differs from one program to the next. */
const percentSafe = [
  /[A-Za-z0-9\-_.~]/,
  /[A-Za-z0-9\-_.*]/,
  /[A-Za-z0-9\-_.~!$&'()*+,%]/,
  /[A-Za-z0-9\-_.!~*'()]/,
  /[A-Za-z0-9\-_.~$&+,;=:@/]/,
  /[A-Za-z0-9\-_.~$&+,;=]/,
  /[A-Za-z0-9\-_.~!$&'()*+,;=:@/?#[\]]/,
]

function* percentForms(text: string): Generator<string> {
  if (!text.isWellFormed()) return
  for (const safe of percentSafe) {
    const encoded = Array.from(text, (character) =>
      safe.test(character)
        ? character
        : Array.from(
            Buffer.from(character),
            (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
          ).join(''),
    ).join('')
    for (const form of [encoded, encoded.replaceAll('%20', '+')]) {
      yield form
      yield form.replaceAll(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase())
    }
  }
}

/** The whole, and the characters that the bytes decide by themselves, wherever in a longer text they begin. */
function* base64Forms(bytes: Buffer): Generator<string> {
  yield bytes.toString('base64')
  yield Buffer.concat([bytes, Buffer.from('\n')]).toString('base64')
  for (const before of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/(?<!=)=+$/, '')
    const start = [0, 2, 3][before] ?? 0
    const form = encoded.slice(start, Math.floor(((before + bytes.length) * 8) / 6))
    yield form
    yield form.replaceAll('+', '-').replaceAll('/', '_')
  }
}
