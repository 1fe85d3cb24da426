/** How calls are grouped for readers: by what they are about, and not by which service answers. */
export interface Tag {
  name: string
  description: string
  /** First words of paths, after `/v1/`. */
  words: readonly string[]
}

/** In the order in which a newcomer needs them. */
export const apiTags: readonly Tag[] = [
  { name: 'Sign-in', description: 'Accounts of people: sign up, sign in, links by mail, refresh, sign out.', words: ['auth'] },
  {
    name: 'You',
    description: 'Whoever is signed in: profile, password, second factor, sessions, preferences. Not for API keys.',
    words: ['me'],
  },
  {
    name: 'Organizations',
    description: 'The business you act for: what is known of it, its set-up, and changing between several.',
    words: ['organization', 'organizations', 'onboarding'],
  },
  {
    name: 'Members',
    description: 'Who works for the organization, in which role, and how others are invited.',
    words: ['members', 'invitations'],
  },
  {
    name: 'API keys',
    description: 'Credentials of programs, with scopes and limits. A key is shown once, when it is made or rotated.',
    words: ['api-keys'],
  },
  {
    name: 'Connections',
    description: 'Credentials at outside systems: tried when they are saved, sealed, never shown again.',
    words: ['connections', 'encryption-key'],
  },
  {
    name: 'Plans and usage',
    description: 'What the organization pays for, what it has used, and what is left.',
    words: ['plans', 'subscription', 'billing', 'usage', 'payment-webhooks'],
  },
  {
    name: 'Audit',
    description: 'Who changed what and who read personal data, in a chain that shows when it was tampered with.',
    words: ['audit'],
  },
  {
    name: 'Customers',
    description: 'Who writes to the business, how they are known on each channel, and what they allow.',
    words: ['customers', 'consents'],
  },
  {
    name: 'Conversations',
    description: 'All messages with a customer on one channel account; people answer here, and hear of news as it happens.',
    words: ['conversations', 'messages', 'stream'],
  },
  { name: 'Agents', description: 'The artificial colleagues, and what they decided and why.', words: ['agents', 'turns'] },
  {
    name: 'Channels',
    description: 'Where messages go out, and those on their way.',
    words: ['channels', 'outgoing-messages'],
  },
  {
    name: 'Webhooks in',
    description: 'The doors that providers deliver to, and what came through them.',
    words: ['webhook-sources', 'receipts', 'webhooks'],
  },
  {
    name: 'Operations',
    description:
      'Dead letters, causal chains and replay, the same for every service; and what only the operator of an installation may.',
    words: ['ops', 'operator', 'dev', 'healthz', 'readyz', '.well-known'],
  },
]

/** The group of a path. Throws TypeError when there is none: a call that nobody finds might as well not be there. */
export function tagOf(path: string, tags: readonly Tag[]): string {
  const word = path.replace(/^\/v1\//, '/').split('/')[1] ?? ''
  const tag = tags.find(({ words }) => words.includes(word))
  if (!tag) throw new TypeError(`${path} is in no group: add '${word}' to scripts/generate/openapi/tags.ts.`)
  return tag.name
}
