import type { Role } from '@parley/contracts'

export interface InvitationWords {
  organizationName: string
  /** Null when a key or the operator invites. */
  inviterName: string | null
  role: Role
  personalMessage: string | null
  link: string
  expiresAt: Date
  /** The organization's: nobody knows the invited person's yet. */
  locale: string
  timezone: string
}

/** The mail of an invitation, in French or English. */
export function invitationMail(words: InvitationWords): { subject: string; text: string } {
  const french = words.locale.toLowerCase().startsWith('fr')
  const until = new Intl.DateTimeFormat(words.locale, {
    dateStyle: 'long',
    timeStyle: 'short',
    timeZone: words.timezone,
  }).format(words.expiresAt)
  const { organizationName, inviterName, link } = words
  const message = words.personalMessage === null ? [] : [quoted(words.personalMessage), '']
  if (french) {
    return {
      subject: `Invitation à rejoindre ${organizationName}`,
      text: [
        'Bonjour,',
        '',
        `${inviterName ?? organizationName} vous invite à rejoindre ${organizationName} sur Parley comme ${frenchRoles[words.role]}.`,
        '',
        ...message,
        `Pour accepter : ${link}`,
        '',
        `Ce lien est pour cette adresse seulement et vaut jusqu’au ${until} (${words.timezone}). Si vous n’attendiez rien, ignorez ce message.`,
      ].join('\n'),
    }
  }
  return {
    subject: `Invitation to join ${organizationName}`,
    text: [
      'Hello,',
      '',
      `${inviterName ?? organizationName} invites you to join ${organizationName} on Parley as ${englishRoles[words.role]}.`,
      '',
      ...message,
      `To accept: ${link}`,
      '',
      `This link is for this address only and is good until ${until} (${words.timezone}). If you expected nothing, ignore this message.`,
    ].join('\n'),
  }
}

/** Marked line by line, so that a stranger's words cannot pass for ours. */
const quoted = (text: string) =>
  text
    .split(/\r\n|[\n\r\u2028\u2029]/)
    .map((line) => `> ${line}`)
    .join('\n')

const englishRoles: Record<Role, string> = {
  owner: 'owner',
  admin: 'admin',
  manager: 'manager',
  product_editor: 'product editor',
  support: 'support agent',
  viewer: 'viewer',
}
const frenchRoles: Record<Role, string> = {
  owner: 'propriétaire',
  admin: 'administrateur',
  manager: 'responsable',
  product_editor: 'éditeur de produits',
  support: 'agent du support',
  viewer: 'observateur',
}
