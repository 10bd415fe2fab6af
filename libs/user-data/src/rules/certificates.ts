import type { X509Certificate } from 'node:crypto'
import type { Path } from '../path.ts'
import { sources, type FieldRule, type Finding } from '../rule.ts'

const soonDays = 30
const dayMilliseconds = 86_400_000

function subjectOf(certificate: X509Certificate): string {
  return JSON.stringify(certificate.subject.replaceAll('\n', ', ') || certificate.fingerprint256)
}

const malformed: FieldRule = {
  code: 'user-data.certificate',
  severity: 'error',
  summary: 'Certificates are PEM and can be parsed.',
  source: sources.installerReference,
  *check(_document, { certificates }) {
    for (const { path, fault } of certificates) {
      if (fault !== undefined) yield { path, message: `The certificate ${fault}` }
    }
  },
}

const expired: FieldRule = {
  code: 'user-data.certificate-expired',
  severity: 'error',
  summary: 'Certificates have not expired.',
  source: sources.installerReference,
  *check(_document, { certificates: entries, now }) {
    for (const { path, certificates } of entries) {
      for (const certificate of certificates.filter(({ validToDate }) => validToDate < now)) {
        const message = `The certificate ${subjectOf(certificate)} expired on ${day(certificate.validToDate)}. Replace it.`
        yield { path, message }
      }
    }
  },
}

const validity: FieldRule = {
  code: 'user-data.certificate-validity',
  severity: 'warning',
  summary: 'Certificates are valid now and for the next 30 days.',
  source: sources.installerReference,
  *check(_document, { certificates: entries, now }) {
    const soon = new Date(now.getTime() + soonDays * dayMilliseconds)
    for (const { path, certificates } of entries) {
      for (const certificate of certificates) yield* validityOf(certificate, path, now, soon)
    }
  },
}

function* validityOf(certificate: X509Certificate, path: Path, now: Date, soon: Date): Generator<Finding> {
  const { validFromDate, validToDate } = certificate
  const name = subjectOf(certificate)
  if (validFromDate > now) {
    const message = `The certificate ${name} is not valid before ${day(validFromDate)}. Check that hosts are installed after that.`
    yield { path, message }
  } else if (validToDate >= now && validToDate < soon) {
    const message = `The certificate ${name} expires on ${day(validToDate)}. Renew it before hosts are installed.`
    yield { path, message }
  }
}

const authority: FieldRule = {
  code: 'user-data.certificate-authority',
  severity: 'warning',
  summary: '`caCerts` holds certificates of certification authorities.',
  source: sources.installerReference,
  *check(_document, { certificates: entries }) {
    for (const { path, certificates } of entries) {
      if (path[1] !== 'site') continue
      for (const certificate of certificates.filter(({ ca }) => !ca)) {
        const message = `The certificate ${subjectOf(certificate)} is not one of a certification authority. Add the authority that issued it.`
        yield { path, message }
      }
    }
  },
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10)
}

/** The rules about certificates. */
export const certificateRules: readonly FieldRule[] = [malformed, expired, validity, authority]
