import { z } from 'zod'

/** Domains as DNS has them: `müller.example` is `xn--mller-kva.example`, so that two spellings of one address are one text. */
function withAsciiDomain(address: string): string {
  const at = address.lastIndexOf('@')
  const domain = address.slice(at + 1)
  // Only letters that DNS lacks are translated: a URL parser would read `1.2` as an IPv4 address.
  if (at === -1 || /^[\x20-\x7e]*$/.test(domain)) return address
  const host = URL.parse(`http://${domain.replace(/[/?#\\:@\s]/g, '_')}`)?.hostname
  return host === undefined ? address : `${address.slice(0, at)}@${host}`
}

const localPart = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** RFC 5321, 4.5.3.1: 64 before the @, 254 in all; RFC 1035: labels of 63. Quoted local parts and address literals are nobody's. */
function isEmailAddress(address: string): boolean {
  const at = address.lastIndexOf('@')
  const [local, labels] = [address.slice(0, at), address.slice(at + 1).split('.')]
  const isLocal = at > 0 && at <= 64 && localPart.test(local)
  return (
    isLocal &&
    address.length <= 254 &&
    labels.length > 1 &&
    labels.every((part) => label.test(part)) &&
    !/^\d+$/.test(labels.at(-1) ?? '')
  )
}

/** An e-mail address as people type it; comes out in lower case, without blanks around it, its domain in ASCII. */
export const EmailAddress = z
  .string()
  .max(1_000)
  .trim()
  .toLowerCase()
  .overwrite(withAsciiDomain)
  .refine(isEmailAddress, 'must be an e-mail address, as zoe@shop.example')
  .meta({ format: 'email' })
