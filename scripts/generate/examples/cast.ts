/**
 * Who and what the examples of docs/openapi.json are about: one shop, its people, one customer and their conversation, the same on
 * every page. Nothing of it opens anything: secrets are words that say what belongs there, so that no scanner takes them for real
 * ones. Telephone numbers are of the block that ARCEP keeps for fiction (06 39 98 xx xx), addresses of RFC 5737 and RFC 2606.
 */
export const ids = {
  organization: '019a31c2-7d40-7e5b-9c11-6a2f84d0e3b7',
  owner: '019a31c2-7d52-7a08-8f3e-1b5c70d2a946',
  colleague: '019a3210-04c8-7b61-a2d7-94e0c6358f1a',
  customer: '019a3b77-21f0-7c9d-b04a-5e8d13c7f620',
  conversation: '019a3b77-2204-7f16-8a5c-c2709be4d831',
  question: '019a9d3c-5b10-7c41-8d2e-3f6a71c0b5e4',
  answer: '019a9d3c-6f27-7d83-b91c-0a4e5f82d7c6',
  turn: '019a9d3c-6411-7e02-9b7d-8c15a3f0e642',
  agent: '019a31c3-0b9e-7415-b6f8-2d7c9e0a5183',
  connection: '019a3205-91d3-7a7f-8c40-e6b2580f7d19',
  webhookSource: '019a3205-91e8-7360-a15b-7f90c4d2e836',
  receipt: '019a9d3c-5ae2-7b54-93a6-d01f7e48c2b5',
  outgoing: '019a9d3c-7030-7962-8e1f-b54d6a09c37e',
  session: '019a9d20-1cc4-7d1e-a873-40f6b92e5d0c',
  invitation: '019a9d25-4e71-7086-bd32-91c7f5a0e64b',
  subscription: '019a31c2-7e05-7cd4-8b60-2f8a91e7d3c5',
  transaction: '019a8c10-6a2f-7e49-90d8-c3b5714f0e26',
  event: '019a9d3c-5b11-7af7-a65e-7d20c8b4f913',
  use: '019a9d3c-7015-7b2c-8f94-5a6de1c0378b',
  entry: '019a9d26-0b83-71ea-9c5f-d64b20a7e8f1',
  mail: '019a9d25-4e90-7c37-8d0a-16f5b3e9c274',
  consent: '019a3b77-30aa-7e58-b1c6-4097dfa2e5b3',
  erasure: '019a9e01-88c2-7f4d-a730-e5b1c94d6f08',
  deadLetter: '019a9d41-2be5-7690-8c1d-f73a04e6b952',
} as const

export const times = {
  founded: '2026-10-29T08:14:05.184Z',
  joined: '2026-10-29T09:38:51.720Z',
  firstWritten: '2026-10-31T07:12:30.128Z',
  monthBegins: '2026-10-31T23:00:00.000Z',
  monthEnds: '2026-11-30T23:00:00.000Z',
  signedIn: '2026-11-19T06:52:18.500Z',
  asked: '2026-11-19T07:21:44.016Z',
  answered: '2026-11-19T07:21:49.223Z',
  now: '2026-11-19T08:30:12.640Z',
  inAWeek: '2026-11-26T08:30:12.640Z',
  nextYear: '2027-10-29T00:00:00.000Z',
} as const

/** The organization's id in base 62, then the part that tells its keys apart: what createOrganizationKeyId makes. */
export const keyId = '014S7U2Pe8mYa1apFXeU58rHJhnUC5GRc'

export const phone = '+33639980142'
export const chatId = '33639980142@s.whatsapp.net'
export const accountId = 'MIRNDA-X4K7P'

/** As long as the tokens are that stand in links. */
export const linkToken = 'the-token-that-stands-in-the-link-you-got--'
export const refreshToken = 'the-refresh-token-that-came-with-the-last--'
export const requestToken = 'the-token-of-the-answer-to-the-request-----'
export const invitationToken = 'the-token-that-stands-behind-the-sign-in-the-link-of-the-mail----'
export const deviceToken = 'the-device-token-that-the-last-sign-in-gave'
export const sha256 = '0f3a9c6e51d7b8240f3a9c6e51d7b8240f3a9c6e51d7b8240f3a9c6e51d7b824'

export const question = 'Bonjour, ma théière est arrivée ébréchée. Que puis-je faire ?'
export const answer = 'Bonjour Léa, je suis désolée pour votre théière. Envoyez-moi une photo et je vous propose un échange.'
