import { expect, test } from 'vitest'
import { changeNotifications, defaultNotifications, differing, notificationsOf } from './notifications.ts'

test('who never chose anything has the defaults, and nothing is stored of them', () => {
  expect(notificationsOf({})).toEqual(defaultNotifications)
  expect(differing(defaultNotifications)).toEqual({})
})

test('a change touches only the way and topic it names', () => {
  const changed = changeNotifications(defaultNotifications, { handovers: { sms: true } })
  expect(changed).toEqual({ ...defaultNotifications, handovers: { email: true, sms: true, inApp: true } })
  expect(differing(changed)).toEqual({ handovers: { email: true, sms: true, inApp: true } })
  expect(notificationsOf(differing(changed))).toEqual(changed)
})

test('what goes back to the default is no longer stored', () => {
  const back = changeNotifications(notificationsOf({ weeklySummary: { email: false } }), { weeklySummary: { email: true } })
  expect(differing(back)).toEqual({})
})
