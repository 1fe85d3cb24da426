import type { World } from '@parley/runtime/testing'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { defaultNotifications } from '../src/rules/notifications.ts'
import { defaultPreferences } from '../src/rules/preferences.ts'
import { changeKey, dropPreviousKey } from './installation-key.ts'
import { type OrganizationWorld, type Person, startOrganizationWorld } from './organization-world.ts'

let world: World
let people: OrganizationWorld
let organizationId: string
let owner: Person

beforeAll(async () => {
  people = await startOrganizationWorld({ postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  world = people.world
  ;({ organizationId, owner } = await people.organization())
})
afterAll(async () => {
  await world?.stop()
})

const stored = (userId: string) => world.sql(`select * from accounts.user_preferences where user_id = $1`, [userId])

test('the eleven defaults are stored at the first read, once, and both paths answer alike', async () => {
  expect(await stored(owner.userId)).toEqual([])
  const answers = await Promise.all(
    [
      '/v1/me/preferences',
      '/functions/v1/get-user-preferences',
      `/functions/v1/get-user-preferences?user_id=${owner.userId}`,
    ].map((path) => owner.call('GET', path)),
  )
  for (const { status, body } of answers) {
    expect(status).toBe(200)
    expect(body).toEqual(answers[0]?.body)
  }
  expect(answers[0]?.body).toMatchObject({ userId: owner.userId, preferences: defaultPreferences })
  expect(Object.keys(answers[0]?.body.preferences)).toHaveLength(11)
  expect(await stored(owner.userId)).toHaveLength(1)
})

test('somebody without an organization has them too, a key has none', async () => {
  const stranger = await people.actingIn(await people.person('stranger'), null)
  expect((await stranger.call('GET', '/v1/me/preferences')).body).toMatchObject({ preferences: defaultPreferences })
  expect((await people.call(undefined, 'GET', '/v1/me/preferences')).status).toBe(403)
  expect((await people.call(null, 'GET', '/v1/me/preferences')).status).toBe(401)
})

test('another person’s are nobody’s business', async () => {
  const other = await people.member(organizationId, 'viewer')
  const answer = await owner.call('GET', `/functions/v1/get-user-preferences?user_id=${other.userId}`)
  expect(answer.status).toBe(404)
  expect(await stored(other.userId)).toEqual([])
})

test('a change is kept, sealed, and touches only what it names', async () => {
  const person = await people.member(organizationId, 'support')
  const change = { language: 'fr-ca', elevenlabsVoiceId: 'voice-of-zoe', preferredChatMode: 'whatsapp', theme: 'dark' }
  const expected = { ...defaultPreferences, ...change, language: 'fr-CA' }
  expect((await person.call('PATCH', '/v1/me/preferences', change)).body.preferences).toEqual(expected)
  expect((await person.call('GET', '/v1/me/preferences')).body.preferences).toEqual(expected)
  const cleared = await person.call('PATCH', '/v1/me/preferences', { elevenlabsVoiceId: null })
  expect(cleared.body.preferences).toEqual({ ...expected, elevenlabsVoiceId: null })
  expect(JSON.stringify(await stored(person.userId))).not.toContain('fr-CA')
})

test('two changes at the same moment are both kept', async () => {
  const person = await people.member(organizationId, 'support')
  const changes = [{ autoEscalate: true }, { videoEnabled: false }, { voiceEnabled: false }, { callHistoryEnabled: false }]
  await Promise.all(changes.map((change) => person.call('PATCH', '/v1/me/preferences', change)))
  expect((await person.call('GET', '/v1/me/preferences')).body.preferences).toEqual(
    Object.assign({ ...defaultPreferences }, ...changes),
  )
})

test('what is none of them is refused and changes nothing', async () => {
  for (const wrong of [
    { language: 'klingon!' },
    { autoEscalate: 'yes' },
    { preferredChatMode: 'shouting' },
    { theme: null },
    { tavusReplicaId: 'x'.repeat(129) },
    { userId: owner.userId },
    { isAdmin: true },
  ])
    expect((await owner.call('PATCH', '/v1/me/preferences', wrong)).status, JSON.stringify(wrong)).toBe(400)
  expect((await owner.call('GET', '/v1/me/preferences')).body.preferences).toEqual(defaultPreferences)
})

test('what a member hears of is theirs in this organization, over defaults', async () => {
  const path = '/v1/me/notification-preferences'
  expect((await owner.call('GET', path)).body).toEqual(defaultNotifications)
  const changed = await owner.call('PATCH', path, { handovers: { sms: true }, weeklySummary: { email: false } })
  const expected = {
    ...defaultNotifications,
    handovers: { email: true, sms: true, inApp: true },
    weeklySummary: { email: false, sms: false, inApp: false },
  }
  expect(changed.body).toEqual(expected)
  expect((await owner.call('GET', path)).body).toEqual(expected)
  const member = await people.member(organizationId, 'viewer')
  expect((await member.call('GET', path)).body).toEqual(defaultNotifications)
  expect((await owner.call('PATCH', path, { handovers: { pigeon: true } })).status).toBe(400)
  expect((await owner.call('PATCH', path, { everything: { email: true } })).status).toBe(400)
  const stranger = await people.actingIn(await people.person('stranger'), null)
  expect((await stranger.call('GET', path)).status).toBe(409)
})

test('where a member is in their introduction is kept for them', async () => {
  const member = await people.member(organizationId, 'support')
  expect((await member.call('PATCH', '/v1/me/onboarding', { step: 'first-reply' })).body).toEqual({
    step: 'first-reply',
    completed: false,
  })
  expect((await member.call('PATCH', '/v1/me/onboarding', { completed: true })).body).toEqual({
    step: 'first-reply',
    completed: true,
  })
  expect((await owner.call('GET', `/v1/members/${member.userId}`)).body).toMatchObject({ onboardingCompleted: true })
  expect((await member.call('PATCH', '/v1/me/onboarding', { role: 'owner' })).status).toBe(400)
})

test('they outlive a change of the installation’s key, and the old one can go', async () => {
  expect((await owner.call('PATCH', '/v1/me/preferences', { language: 'fr' })).status).toBe(200)
  const chosen = (await owner.call('GET', '/v1/me/preferences')).body
  await changeKey(world)
  await world.settle()
  await dropPreviousKey(world)
  expect(await owner.call('GET', '/v1/me/preferences')).toMatchObject({ status: 200, body: chosen })
})

test('what a replica that still had the old key sealed after the change is counted, and sealed anew when the operator asks', async () => {
  const sealedNow = async () =>
    (
      await world.sql<{ sealed: string }>(
        'select sealed_preferences as sealed from accounts.user_preferences where user_id = $1',
        [owner.userId],
      )
    )[0]?.sealed
  const before = await sealedNow()
  const chosen = (await owner.call('GET', '/v1/me/preferences')).body
  const rewrap = async (method: 'GET' | 'POST') =>
    (await world.call(method, '/v1/operator/rewrap', method === 'POST' ? { body: {} } : {})).body
  await changeKey(world)
  await world.settle()
  expect(await rewrap('GET')).toMatchObject({ remainingTexts: 0 })
  await world.sql('update accounts.user_preferences set sealed_preferences = $1 where user_id = $2', [before, owner.userId])
  expect(await rewrap('GET')).toMatchObject({ remainingTexts: 1 })
  expect(await rewrap('POST')).toMatchObject({ remainingTexts: 1 })
  await world.settle()
  expect(await rewrap('GET')).toMatchObject({ remainingTexts: 0 })
  await dropPreviousKey(world)
  expect(await owner.call('GET', '/v1/me/preferences')).toMatchObject({ status: 200, body: chosen })
})
