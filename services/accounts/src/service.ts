import {
  connectionChanged,
  keyChanged,
  sessionRevoked,
  signingKeyChanged,
  memberChanged,
  memberInvited,
  memberJoined,
  memberRemoved,
  organizationCreated,
  organizationUpdated,
  subscriptionChanged,
  usageRecorded,
  usageLimitReached,
  allowanceChanged,
} from '@parley/contracts'
import { defineService } from '@parley/runtime'
import { AccountsConfig, openApp } from './app.ts'
import { noteConnectionReport } from './handlers/note-connection-report.ts'
import { rewrapKeys } from './jobs/rewrap-keys.ts'
import { testConnection } from './jobs/test-connection.ts'
import { connections } from './migrations/004-connections.ts'
import { patchConnection, postConnectionTest, postConnectionWebhook } from './routes/connection-changes.ts'
import { deleteConnection, getConnection, getConnections, postConnection } from './routes/connections.ts'
import { getRewrap, postRewrap, rotateEncryptionKey } from './routes/encryption-keys.ts'
import { doors } from './doors.ts'
import { getAudit, getAuditVerification } from './routes/audit.ts'
import { answerMailRequest } from './jobs/answer-mail-request.ts'
import { forgetOldSignIns } from './jobs/forget-old-sign-ins.ts'
import { resealTexts } from './jobs/reseal-texts.ts'
import { rotateSigningKeys } from './jobs/rotate-signing-keys.ts'
import { sendMail } from './jobs/send-mail.ts'
import { changeEmail, confirmEmail, verifyEmail } from './routes/email-verification.ts'
import { getDevMail } from './routes/mails.ts'
import { getMe, patchMe } from './routes/me.ts'
import { askPasswordReset, changePassword, redeemPasswordReset } from './routes/passwords.ts'
import { deleteSession, getSessions, refresh, revokeOtherSessions, signOut, switchOrganization } from './routes/sessions.ts'
import { askMagicLink, redeemMagicLink } from './routes/magic-link.ts'
import { reauthenticate } from './routes/reauthenticate.ts'
import { signIn } from './routes/sign-in.ts'
import { signUp } from './routes/sign-up.ts'
import { beginTwoFactor, confirmTwoFactor, disableTwoFactor, getTwoFactor, renewRecoveryCodes } from './routes/two-factor.ts'
import { peopleAndSessions } from './migrations/001-people-and-sessions.ts'
import { apiKeysAndPreferences } from './migrations/003-api-keys-and-preferences.ts'
import { getOrganization, patchOrganization, getOrganizations, postOrganization } from './routes/organizations.ts'
import { getMembers, getMember, patchMember, deleteMember, postLeave, postTransfer } from './routes/members.ts'
import {
  postInvitation,
  getInvitations,
  resendInvitation,
  revokeInvitation,
  lookUpInvitation,
  postAccept,
} from './routes/invitations.ts'
import { getOnboarding, putOnboardingStep, postOnboardingComplete, patchOwnOnboarding } from './routes/onboarding.ts'
import { postApiKey, getApiKeys, getApiKey, patchApiKey, rotateApiKey, adoptApiKey, revokeApiKey } from './routes/api-keys.ts'
import {
  getPreferences,
  patchPreferences,
  getNotificationPreferences,
  patchNotificationPreferences,
} from './routes/preferences.ts'
import { postOperatorOrganization, patchOperatorOrganization } from './routes/operator.ts'
import { patchOperatorPerson } from './routes/operator-people.ts'
import { organizationsAndMembers } from './migrations/002-organizations-and-members.ts'
import { audit } from './migrations/006-audit.ts'
import { requiredSecondFactor } from './migrations/007-required-second-factor.ts'
import { boundLinksAndDevices } from './migrations/008-bound-links-and-devices.ts'
import { monthsOfReads } from './migrations/009-months-of-reads.ts'
import { callsAndExports } from './migrations/010-calls-and-exports.ts'
import { whatEndsASession } from './migrations/011-what-ends-a-session.ts'
import { sealAudit } from './jobs/seal-audit.ts'
import { keepRead } from './handlers/keep-read.ts'
import { keepChange } from './handlers/keep-change.ts'
import { getTransaction, getTransactions } from './routes/billing.ts'
import { getPlans, putLimits } from './routes/plans.ts'
import { cancelSubscription, getSubscription, patchSubscription, resumeSubscription } from './routes/subscriptions.ts'
import { getUsage, getUsageLogs, getUsageMonths } from './routes/usage.ts'
import { plansAndUsage } from './migrations/005-plans-and-usage.ts'
import { billOrganization, rebillOrganization } from './handlers/bill-organization.ts'
import { meterConversations } from './handlers/meter-conversations.ts'
import { meterMessages } from './handlers/meter-messages.ts'
import { meterTurns } from './handlers/meter-turns.ts'
import { closeMonth } from './jobs/close-month.ts'
import { lookAtUsage } from './jobs/look-at-usage.ts'
import { renewSubscription } from './jobs/renew-subscription.ts'

export const accounts = defineService({
  name: 'accounts',
  summary: 'Who may do what: organizations, people, keys, credentials of outside systems, plans, usage and the audit log.',
  config: AccountsConfig,
  // Nobody waits for a count; of a message's four events most are counted by one statement then.
  gatherMs: 50,
  routes: [
    signUp,
    verifyEmail,
    signIn,
    askMagicLink,
    redeemMagicLink,
    askPasswordReset,
    redeemPasswordReset,
    refresh,
    reauthenticate,
    switchOrganization,
    signOut,
    getSessions,
    deleteSession,
    revokeOtherSessions,
    getMe,
    patchMe,
    changePassword,
    changeEmail,
    confirmEmail,
    getTwoFactor,
    beginTwoFactor,
    confirmTwoFactor,
    disableTwoFactor,
    renewRecoveryCodes,
    getDevMail,
    getOrganization,
    patchOrganization,
    getOrganizations,
    postOrganization,
    getMembers,
    getMember,
    patchMember,
    deleteMember,
    postLeave,
    postTransfer,
    postInvitation,
    getInvitations,
    resendInvitation,
    revokeInvitation,
    lookUpInvitation,
    postAccept,
    getOnboarding,
    putOnboardingStep,
    postOnboardingComplete,
    patchOwnOnboarding,
    postApiKey,
    getApiKeys,
    getApiKey,
    patchApiKey,
    rotateApiKey,
    adoptApiKey,
    revokeApiKey,
    getPreferences,
    patchPreferences,
    getNotificationPreferences,
    patchNotificationPreferences,
    postOperatorOrganization,
    patchOperatorOrganization,
    patchOperatorPerson,
    postConnection,
    getConnections,
    getConnection,
    patchConnection,
    postConnectionTest,
    postConnectionWebhook,
    deleteConnection,
    rotateEncryptionKey,
    postRewrap,
    getRewrap,
    getAudit,
    getAuditVerification,
    getUsage,
    getUsageMonths,
    getUsageLogs,
    getPlans,
    putLimits,
    getSubscription,
    patchSubscription,
    cancelSubscription,
    resumeSubscription,
    getTransactions,
    getTransaction,
  ],
  handlers: [
    noteConnectionReport,
    keepChange,
    keepRead,
    meterMessages,
    meterConversations,
    meterTurns,
    billOrganization,
    rebillOrganization,
  ],
  jobs: [
    testConnection,
    rewrapKeys,
    sendMail,
    answerMailRequest,
    rotateSigningKeys,
    resealTexts,
    forgetOldSignIns,
    sealAudit,
    lookAtUsage,
    closeMonth,
    renewSubscription,
  ],
  migrations: [
    peopleAndSessions,
    organizationsAndMembers,
    apiKeysAndPreferences,
    connections,
    plansAndUsage,
    audit,
    requiredSecondFactor,
    boundLinksAndDevices,
    monthsOfReads,
    callsAndExports,
    whatEndsASession,
  ],
  states: [
    signingKeyChanged,
    sessionRevoked,
    organizationCreated,
    organizationUpdated,
    memberInvited,
    memberJoined,
    memberChanged,
    memberRemoved,
    keyChanged,
    connectionChanged,
    subscriptionChanged,
    usageRecorded,
    usageLimitReached,
    allowanceChanged,
  ],
  open: openApp,
  async close(app) {
    app.mailer?.close()
    await app.breaches?.close()
    await app.tester.close()
  },
  pluginPaths: ['/.well-known/jwks.json', '/v1/audit/export', '/v1/payment-webhooks'],
  plugin: doors,
})
