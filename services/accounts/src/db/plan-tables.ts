import type { DataOf, Plan, SubscriptionStatus, allowanceChanged } from '@parley/contracts'
import type { ColumnType, GeneratedAlways } from 'kysely'
import type { BillingCycle } from '../rules/billing-period.ts'
import type { LimitOverrides } from '../rules/limits.ts'
import type { OverageLine } from '../rules/overage.ts'
import type { TransactionStatus } from '../rules/payment.ts'
import type { Watch } from '../rules/usage.ts'
import type { Generated, Int8, Json, Timestamp } from './types.ts'

/** A date comes as text through to_char: a Date would be midnight in the zone of the process. */
type Month = string
type WithDefault<T> = ColumnType<T, string | undefined, string>

export interface Subscriptions {
  organizationId: string
  subscriptionId: string
  plan: Plan
  status: SubscriptionStatus
  billingCycle: BillingCycle
  monthlyPriceMinor: number
  annualPriceMinor: number
  currency: string
  startedAt: Timestamp
  endedAt: Timestamp | null
  trialEndsAt: Timestamp | null
  cancelledAt: Timestamp | null
  cancellationReason: string | null
  periodStart: Timestamp | null
  periodEnd: Timestamp | null
}

export type Allowance = Omit<DataOf<typeof allowanceChanged>, 'revision'>

interface UsageSettings {
  organizationId: string
  timezone: Generated<string>
  aiBudgetMicros: Int8 | null
  organizationRevision: Generated<number>
  plan: Plan | null
  overrides: WithDefault<LimitOverrides>
  watch: Json<Watch> | null
  closedThrough: Month | null
  allowance: Json<Allowance> | null
  allowanceRevision: Generated<number>
}

export type UsageType = 'message' | 'conversation' | 'ai_request' | 'knowledge_chunk' | 'embedding' | 'api_call' | 'export'

interface UsageLogs {
  organizationId: string
  id: string
  usageType: UsageType
  month: Month
  conversationId: string | null
  turnId: string | null
  aiModel: string | null
  simulated: boolean | null
  promptTokens: Generated<number>
  completionTokens: Generated<number>
  totalCostMicros: Int8
  occurredAt: Timestamp
  quantity: ColumnType<string, number | undefined, number>
  keyId: string | null
}

export type TransactionType = 'subscription' | 'overage' | 'one_time' | 'refund' | 'credit'

export interface BillingTransactions {
  organizationId: string
  transactionId: string
  subscriptionId: string | null
  type: TransactionType
  status: TransactionStatus
  description: string
  amountMinor: Int8
  taxAmountMinor: Int8
  totalAmountMinor: GeneratedAlways<string>
  currency: string
  paymentMethod: string | null
  paymentProvider: string | null
  providerTransactionId: string | null
  invoiceNumber: string
  invoiceUrl: string | null
  failureReason: string | null
  periodStart: Timestamp | null
  periodEnd: Timestamp | null
  lines: WithDefault<OverageLine[]>
  refundOf: string | null
  createdAt: Timestamp
  updatedAt: Timestamp
  paidAt: Timestamp | null
}

interface PaymentEvents {
  organizationId: string
  provider: string
  eventId: string
  type: string
  transactionId: string | null
  occurredAt: Timestamp
  receivedAt: Timestamp
}

type Count = ColumnType<string, number | undefined, number>

interface UsageSlots {
  organizationId: string
  month: Month
  slot: number
  events: Count
  messages: Count
  conversations: Count
  customers: Count
  aiRequests: Count
  promptTokens: Count
  completionTokens: Count
  aiSpendMicros: Count
}

interface UsageCustomers {
  organizationId: string
  month: Month
  customerId: string
  slot: number
}

interface UsageMonths {
  organizationId: string
  month: Month
  timezone: string
  startsAt: Timestamp
  endsAt: Timestamp
  warned: WithDefault<string[]>
  reported: WithDefault<Record<string, unknown>>
  closedAt: Timestamp | null
  totals: Json<Record<string, unknown>> | null
  limits: Json<Record<string, unknown>> | null
  overage: Json<OverageLine[]> | null
  overageTransactionId: string | null
}

interface InvoiceCounters {
  organizationId: string
  year: number
  last: number
}

/** Plans, usage and bills. */
export interface PlanTables {
  subscriptions: Subscriptions
  usageSlots: UsageSlots
  usageCustomers: UsageCustomers
  usageMonths: UsageMonths
  invoiceCounters: InvoiceCounters
  usageSettings: UsageSettings
  usageLogs: UsageLogs
  billingTransactions: BillingTransactions
  paymentEvents: PaymentEvents
}
