import { Currency, EmailAddress, WrittenText } from '@parley/contracts'
import { z } from 'zod'
import {
  canonicalLocale,
  canonicalPhone,
  isCurrency,
  isDomain,
  isOneLine,
  isTimezone,
  isWebsite,
  mayBeSubdomain,
} from './rules/organization.ts'

/** One line of text that a person reads. */
export const Line = (longest: number) => WrittenText(longest).refine(isOneLine, 'must be one line of text')

export const Timezone = z.string().max(64).refine(isTimezone, 'must be an IANA time zone, as Europe/Paris')
export const Locale = z
  .string()
  .min(2)
  .max(35)
  .refine((text) => canonicalLocale(text) !== undefined, 'must be a language tag, as fr-FR')
  .transform((text) => canonicalLocale(text) ?? text)
const OrganizationCurrency = Currency.refine(isCurrency, 'must be an ISO 4217 currency')

export const Phone = z
  .string()
  .trim()
  .max(40)
  .refine((text) => canonicalPhone(text) !== undefined, 'must be an international number, as +33123456789')
  .transform((text) => canonicalPhone(text) ?? text)

export const AddressFields = z.strictObject({
  line1: Line(200).nullable().default(null),
  line2: Line(200).nullable().default(null),
  city: Line(100).nullable().default(null),
  region: Line(100).nullable().default(null),
  postalCode: Line(20).nullable().default(null),
  country: z
    .string()
    .regex(/^[A-Z]{2}$/, 'must be a two-letter country code')
    .nullable()
    .default(null),
})

const lower = z.string().trim().toLowerCase()
const optional = <Schema extends z.ZodType>(schema: Schema) => schema.nullable().optional()

/** What a new organization is asked for; the rest has defaults. */
export const NewOrganizationFields = z.strictObject({
  name: Line(200),
  timezone: Timezone.optional(),
  locale: Locale.optional(),
  currency: OrganizationCurrency.optional(),
})

/**
 * What a member may change of their organization. Status, revision and onboarding come out of other calls and are no fields of
 * this one, nor is the organization's id (reliability.md A25).
 */
export const OrganizationChange = z.strictObject({
  ...NewOrganizationFields.partial().shape,
  domain: optional(lower.refine(isDomain, 'must be a domain name')),
  subdomain: optional(lower.refine(mayBeSubdomain, 'is not available')),
  website: optional(z.string().trim().max(2_048).refine(isWebsite, 'must be an http(s) address without a password')),
  contactName: optional(Line(200)),
  contactEmail: optional(EmailAddress),
  contactPhone: optional(Phone),
  billingEmail: optional(EmailAddress),
  address: optional(AddressFields),
  requireTwoFactor: z.boolean().optional().describe('Members act here only in sessions that were opened with a second factor.'),
  ai: z
    .strictObject({
      enabled: z.boolean(),
      modelPreference: Line(100).nullable(),
      confidenceThreshold: z.number().min(0).max(1),
      monthlyBudgetMicros: z.int().min(0).max(1_000_000_000_000).nullable(),
    })
    .partial()
    .optional(),
})
export type OrganizationChange = z.infer<typeof OrganizationChange>
