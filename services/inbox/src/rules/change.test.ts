import { expect, test } from 'vitest'
import { mayChange } from './change.ts'

const ana = { id: 'ana@s.whatsapp.net', fromUs: false }
const ben = { id: 'ben@s.whatsapp.net', fromUs: false }
const us = { id: 'CHANNL-1', fromUs: true }
const written = (
  sender: 'user' | 'human' | 'agent' | 'system',
  chatKind: 'person' | 'group',
  senderId: string | null = null,
) => ({
  sender,
  chatKind,
  senderId,
})

test.each([
  ['the customer, their own words', written('user', 'person', ana.id), ana, true],
  ['the customer, under another form of their id', written('user', 'person', ana.id), { id: 'ana@lid', fromUs: false }, true],
  ['the customer, the shop’s words', written('human', 'person'), ana, false],
  ['the customer, the agent’s words', written('agent', 'person'), ana, false],
  ['the shop, its own words', written('human', 'person'), us, true],
  ['the shop, the customer’s words', written('user', 'person', ana.id), us, false],
  ['one of a group, their own words', written('user', 'group', ana.id), ana, true],
  ['one of a group, another’s words', written('user', 'group', ana.id), ben, false],
  ['one of a group, words of nobody known', written('user', 'group', null), ben, false],
  ['the provider', written('human', 'person'), undefined, true],
] as const)('%s: may change it: %#', (_who, message, author, may) => expect(mayChange(message, author)).toBe(may))
