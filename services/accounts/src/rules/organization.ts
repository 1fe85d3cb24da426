import { Currency } from '@parley/contracts'
import { z } from 'zod'

/** One line of text that a person reads: no control characters, which could break a mail's header or a log's line. */
const line = (longest: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(longest)
    .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]+$/u, 'must be one line of text')

export const OrganizationName = line(200)

export const Address = z.strictObject({
  line1: line(200).nullable().default(null),
  line2: line(200).nullable().default(null),
  city: line(100).nullable().default(null),
  region: line(100).nullable().default(null),
  postalCode: line(20).nullable().default(null),
  country: z
    .string()
    .regex(/^[A-Z]{2}$/, 'must be a two-letter country code')
    .nullable()
    .default(null),
})
export type Address = z.infer<typeof Address>

/** An IANA zone that this system's own tables know: months and days are computed in it. Offsets (`+02:00`) are refused: they know no summer. */
export const Timezone = z.string().min(1).max(64).refine(isTimezone, 'must be an IANA time zone, as Europe/Paris')

export function isTimezone(text: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/.test(text)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: text })
    return true
  } catch {
    return false // RangeError is how Intl says that it knows no such zone.
  }
}

/** A BCP 47 tag in its canonical writing (`fr-fr` becomes `fr-FR`). */
export const Locale = z
  .string()
  .min(2)
  .max(35)
  .transform((text, context) => {
    const canonical = canonicalLocale(text)
    if (canonical !== undefined) return canonical
    context.addIssue({ code: 'custom', message: 'must be a language tag, as fr-FR' })
    return z.NEVER
  })

export function canonicalLocale(text: string): string | undefined {
  try {
    return Intl.getCanonicalLocales(text)[0]
  } catch {
    return undefined // RangeError is how Intl says that it is no tag.
  }
}

/** Names that would look like ours, or that hosts have for themselves. */
const reserved = new Set([
  'www',
  'api',
  'app',
  'admin',
  'console',
  'portal',
  'mail',
  'smtp',
  'imap',
  'status',
  'support',
  'help',
  'billing',
  'auth',
  'login',
  'security',
  'parley',
  'localhost',
  'root',
  'postmaster',
  'abuse',
  'webhooks',
])

/** One DNS label. Punycode (`xn--`) is refused: it can be made to look like another business. */
export const Subdomain = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])$/, 'must have 3 to 63 letters, digits or hyphens')
  .refine((text) => !text.startsWith('xn--') && !reserved.has(text), 'is not available')

export const Domain = z
  .string()
  .trim()
  .toLowerCase()
  .max(253)
  .regex(/^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/, 'must be a domain name')

export const Website = z
  .url({ protocol: /^https?$/ })
  .max(2_048)
  .refine((text) => URL.canParse(text) && new URL(text).username === '' && new URL(text).password === '', 'must hold no password')

export const Phone = z
  .string()
  .trim()
  .transform((text) => text.replace(/[\s().-]/g, ''))
  .pipe(z.string().regex(/^\+[1-9]\d{6,14}$/, 'must be an international number, as +33123456789'))

const nullable = <T extends z.ZodType>(schema: T) => schema.nullable().optional()

/**
 * What a member may change of their organization. Status, revision and onboarding are results of other calls, and not fields of
 * this one (A25).
 */
export const OrganizationChange = z.strictObject({
  name: OrganizationName.optional(),
  domain: nullable(Domain),
  subdomain: nullable(Subdomain),
  website: nullable(Website),
  contactName: nullable(line(200)),
  contactEmail: nullable(z.email().max(254).toLowerCase()),
  contactPhone: nullable(Phone),
  billingEmail: nullable(z.email().max(254).toLowerCase()),
  address: nullable(Address),
  timezone: Timezone.optional(),
  locale: Locale.optional(),
  currency: Currency.refine(isCurrency, 'must be an ISO 4217 currency').optional(),
  ai: z
    .strictObject({
      enabled: z.boolean().optional(),
      modelPreference: nullable(line(100)),
      confidenceThreshold: z.number().min(0).max(1).optional(),
      monthlyBudgetMicros: nullable(z.int().min(0).max(1_000_000_000_000)),
    })
    .optional(),
})
export type OrganizationChange = z.infer<typeof OrganizationChange>

const currencies = new Set(Intl.supportedValuesOf('currency'))
export function isCurrency(code: string): boolean {
  return currencies.has(code)
}
