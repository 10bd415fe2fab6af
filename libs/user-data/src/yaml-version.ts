const word = /^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF)$/
const octal = /^[-+]?0[0-7_]+$/
const modernOctal = /^0o[0-7]+$/
const binary = /^[-+]?0b[01_]+$/
const separated = /^[-+]?(?:[1-9][0-9]*_[0-9_]*|0x[0-9a-fA-F]*_[0-9a-fA-F_]*)$/
const sexagesimal = /^[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/
const date = /^\d{4}-\d{1,2}-\d{1,2}(?:$|[Tt]|[ \t]+\d)/
const exponent = /^[-+]?\d+[eE]\d+$/
const suspicious = /^(?:[-+]?\d|[yYnNoO])/

/**
 * Says how a plain scalar differs between YAML 1.1 and YAML 1.2; undefined where both read the same.
 * YAML 1.1 is what Kairos (Go's yaml packages) and cloud-init (PyYAML) follow for these forms.
 */
export function versionDifference(source: string): string | undefined {
  if (source.length > 40 || !suspicious.test(source)) return undefined
  if (word.test(source)) return 'a boolean in YAML 1.1 and text in YAML 1.2; write true or false, or quote it'
  if (octal.test(source)) {
    return 'an octal number in YAML 1.1 and a decimal number or text in YAML 1.2; quote it, or write it without the leading zero'
  }
  if (modernOctal.test(source)) return 'text in YAML 1.1 and an octal number in YAML 1.2; quote it'
  if (binary.test(source)) return 'a binary number in YAML 1.1 and text in YAML 1.2; quote it'
  if (separated.test(source)) return 'a number in YAML 1.1 and text in YAML 1.2; quote it'
  if (sexagesimal.test(source)) {
    return 'a number to the base of 60 in YAML 1.1 and text in YAML 1.2; quote it'
  }
  if (date.test(source)) return 'a timestamp in YAML 1.1 and text in YAML 1.2; quote it'
  if (exponent.test(source)) return 'text in YAML 1.1 and a number in YAML 1.2; quote it'
  return undefined
}

/** The truth value of a word that YAML 1.1 takes as a boolean; undefined for other text. */
export function legacyBoolean(value: unknown): boolean | undefined {
  if (typeof value !== 'string' || !word.test(value)) return undefined
  return /^(?:y|yes|on)$/i.test(value)
}
