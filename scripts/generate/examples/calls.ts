import type { Json, JsonObject } from '../json-schema.ts'
import { accountId, deviceToken, ids, requestToken, times } from './cast.ts'

/** Where the fields alone would not make a sensible call: the whole body, or what differs in the answer. */
export interface Call {
  body?: JsonObject
  reply?: JsonObject
}

const removed = { status: 'removed', removedAt: times.now }
const over = { endedAt: null, cancelledAt: times.now, cancellationReason: 'We close the shop in January.', status: 'cancelled' }

/** By `METHOD /path` of the route. */
export const calls: Readonly<Record<string, Call>> = {
  'GET /v1/me/two-factor': { reply: { enabled: true } },
  'POST /v1/ops/:service/replay': { body: { since: times.signedIn, limit: 100_000 } },
  'PATCH /v1/agents/:id': { body: { tone: 'professional', quietMs: 2_000 }, reply: { tone: 'professional', quietMs: 2_000 } },
  'POST /v1/api-keys': {
    body: { name: 'Order import', scopes: ['conversations:read', 'customers:read'], expiresAt: times.nextYear },
    reply: { lastUsedAt: null, totalRequests: 0 },
  },
  'PATCH /v1/api-keys/:keyId': { body: { perMinute: 1_200 }, reply: { perMinute: 1_200, revision: 2 } },
  'POST /v1/api-keys/:keyId/rotate': { reply: { rotatedAt: times.now, previousUntil: '2026-11-20T08:30:12.640Z', revision: 2 } },
  'POST /v1/api-keys/:keyId/revoke': {
    reply: { state: 'revoked', revokedAt: times.now, revokedBy: ids.owner, revision: 2 },
  },
  'POST /v1/auth/confirm-email': { reply: { email: 'camille@atelier-lumen.example' } },
  'POST /v1/auth/magic-link': { reply: { message: 'If there is an account with this address, a link is on its way.' } },
  'POST /v1/auth/magic-link/redeem': { body: { requestToken, mailCode: '7KQ2-M9XD-4TRH', deviceToken } },
  'POST /v1/auth/sign-in': {
    body: { email: 'camille@atelier-lumen.example', password: 'a long sentence that only you know', code: '492816', deviceToken },
  },
  'POST /v1/auth/sign-up': {
    body: {
      email: 'camille@atelier-lumen.example',
      password: 'a long sentence that only you know',
      name: 'Camille Moreau',
      organizationName: 'Atelier Lumen',
      locale: 'fr-FR',
      timezone: 'Europe/Paris',
    },
  },
  'PUT /v1/channels/:accountId': { body: { token: 'your-whapi-channel-token', perSecond: 2 } },
  'POST /v1/connections': {
    body: {
      provider: 'whapi',
      displayName: 'WhatsApp of the shop',
      accountId,
      settings: { perSecond: 2 },
      credentials: { token: 'your-whapi-channel-token' },
    },
  },
  'PATCH /v1/connections/:id': {
    body: { credentials: { token: 'the-new-token-of-your-channel' } },
    reply: { revision: 2, updatedAt: times.now, lastTestedAt: times.now, webhook: null },
  },
  'DELETE /v1/connections/:id': { reply: { ...removed, credentials: {}, webhookSourceId: null, revision: 2 } },
  'POST /v1/connections/:id/test': { reply: { lastTestedAt: times.now, webhook: null } },
  'POST /v1/connections/:id/webhook': { reply: { test: null, revision: 2 } },
  'PATCH /v1/conversations/:id': {
    body: { assignee: ids.colleague, note: 'Wants the blue one.', markRead: true },
    reply: { assignee: ids.colleague, note: 'Wants the blue one.', unreadCount: 0 },
  },
  'POST /v1/conversations/:id/messages': {
    body: { text: 'Bonjour Léa, ici Idris. Je vous envoie une nouvelle théière demain.', clientMessageId: 'console-4187' },
    reply: {
      sender: 'human',
      senderName: null,
      author: ids.colleague,
      content: { text: 'Bonjour Léa, ici Idris. Je vous envoie une nouvelle théière demain.' },
      status: 'queued',
      clientMessageId: 'console-4187',
      providerMessageId: null,
      turnId: null,
      basedOnVersion: null,
      intent: null,
      sentiment: null,
      confidence: null,
      model: null,
      simulated: null,
      sentAt: null,
    },
  },
  'POST /v1/invitations': {
    body: {
      email: 'noor@atelier-lumen.example',
      role: 'support',
      personalMessage: 'Bienvenue ! Tu répondras aux clients le week-end.',
    },
  },
  'POST /v1/invitations/:invitationId/resend': { reply: { sentCount: 2 } },
  'POST /v1/invitations/:invitationId/revoke': {
    reply: { status: 'revoked', revokedAt: times.now, revokedBy: ids.owner },
  },
  'PATCH /v1/me': { body: { displayName: 'Camille', phone: null }, reply: { displayName: 'Camille' } },
  'POST /v1/me/email': {
    body: { email: 'camille.moreau@atelier-lumen.example', password: 'a long sentence that only you know' },
  },
  'PATCH /v1/me/preferences': { body: { language: 'fr', theme: 'dark' }, reply: { preferences: { theme: 'dark' } } },
  'PATCH /v1/me/notification-preferences': {
    body: { weeklySummary: { email: false } },
    reply: { weeklySummary: { email: false } },
  },
  'PATCH /v1/members/:userId': {
    body: { role: 'manager', reason: 'He answers returns from now on.' },
    reply: { role: 'manager', revision: 2 },
  },
  'DELETE /v1/members/:userId': { reply: { member: removed } },
  'PUT /v1/onboarding/steps/:step': { body: { done: true } },
  'POST /v1/onboarding/complete': { reply: { status: 'active', next: null, missing: [], completedAt: times.joined } },
  'PATCH /v1/operator/organizations/:organizationId': {
    body: { status: 'inactive', reason: 'Contract ended.' },
    reply: { status: 'inactive', revision: 2 },
  },
  'PATCH /v1/operator/people/:userId': {
    body: { status: 'suspended', reason: 'The account was taken over.' },
    reply: { status: 'suspended' },
  },
  'PATCH /v1/organization': {
    body: { website: 'https://atelier-lumen.example', ai: { confidenceThreshold: 0.8 } },
    reply: { ai: { confidenceThreshold: 0.8 }, revision: 2 },
  },
  'POST /v1/organizations': {
    body: { name: 'Atelier Lumen Lyon', timezone: 'Europe/Paris', locale: 'fr-FR', currency: 'EUR' },
    reply: { name: 'Atelier Lumen Lyon', status: 'pending_setup', onboarding: { steps: [], completedAt: null } },
  },
  'POST /v1/organization/transfer-ownership': {
    reply: { owner: { role: 'owner' }, you: { role: 'admin', userId: ids.owner, displayName: 'Camille Moreau' } },
  },
  'POST /v1/outgoing-messages/:id/retry': { reply: { state: 'queued', sentAt: null, providerMessageId: null } },
  'POST /v1/receipts/:id/replay': { reply: { replayedAt: times.now } },
  'POST /v1/subscription/cancel': { reply: { current: over } },
  'POST /v1/webhook-sources': { body: { provider: 'whapi', accountId, name: 'WhatsApp of the shop' } },
  'POST /v1/webhook-sources/:id/rotate': { reply: { path: null } },
  'DELETE /v1/webhook-sources/:id': { reply: { status: 'disabled' } },
} satisfies Record<string, { body?: Json; reply?: Json }>
