/** A pending one whose time has passed reads as expired, whether or not anybody wrote that down. */
export const invitationStatuses = ['pending', 'accepted', 'expired', 'revoked'] as const
export type InvitationStatus = (typeof invitationStatuses)[number]

export const invitationLifeMs = 7 * 24 * 3_600_000
const betweenSendsMs = 60_000
const mostSends = 10

export interface InvitationState {
  status: InvitationStatus
  email: string
  expiresAt: Date
  sentCount: number
  lastSentAt: Date
}

export function statusOf(invitation: Pick<InvitationState, 'status' | 'expiresAt'>, now: Date): InvitationStatus {
  return invitation.status === 'pending' && invitation.expiresAt <= now ? 'expired' : invitation.status
}

export type Acceptance = 'accept' | 'other_person' | 'not_verified' | 'accepted' | 'expired' | 'revoked'

/**
 * What becomes of an invitation that somebody wants to accept. Whose it is comes first: who found or was forwarded a link is told
 * nothing of what became of it.
 */
export function decideAcceptance(
  invitation: InvitationState,
  person: { email: string; emailVerified: boolean },
  now: Date,
): Acceptance {
  if (person.email.toLowerCase() !== invitation.email.toLowerCase()) return 'other_person'
  // An address that nobody proved is anybody's.
  if (!person.emailVerified) return 'not_verified'
  const status = statusOf(invitation, now)
  return status === 'pending' ? 'accept' : status
}

export type Resend =
  | { send: true }
  | { send: false; why: 'closed' }
  | { send: false; why: 'too_often' }
  | { send: false; why: 'too_soon'; waitMs: number }

/** Whether an invitation may be mailed once more; an expired one may, and lives again. */
export function decideResend(invitation: InvitationState, now: Date): Resend {
  const status = statusOf(invitation, now)
  if (status === 'accepted' || status === 'revoked') return { send: false, why: 'closed' }
  if (invitation.sentCount >= mostSends) return { send: false, why: 'too_often' }
  const waitMs = invitation.lastSentAt.getTime() + betweenSendsMs - now.getTime()
  return waitMs > 0 ? { send: false, why: 'too_soon', waitMs } : { send: true }
}

/** True when a personal message holds an address to click: our mail must not carry a stranger's link to a stranger. */
export function holdsLink(text: string): boolean {
  return /https?:|www\.|[a-z0-9-]\.(?:com|net|org|io|co|fr|de|uk|ru|cn|info|biz|app|dev|link|ly|me|xyz|top)\b/i.test(text)
}
