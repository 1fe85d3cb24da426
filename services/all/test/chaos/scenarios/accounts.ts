import { setTimeout as wait } from 'node:timers/promises'
import { type Credentials, elsewhere, knows, signInAndMakeKey, statusOf, strangersKey, wrongSignIn } from '../callers.ts'
import { countedMessages, metersAgree } from '../meters.ts'
import { quiesce } from '../quiesce.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { expectThat, until } from './until.ts'

/** From a message's being taken to its answer on the phone, with or without accounts. */
const longestAnswerMs = 10_000

export const accountsAway: Scenario = {
  fault: 'ACCOUNTS-AWAY',
  title: 'accounts is away: all its processes are killed and kept down',
  settleMs: 240_000,
  async run(stage) {
    const { world, sender, quick } = stage
    const awayMs = quick ? 8_000 : 600_000
    const load = sender.load({ customersAtOnce: quick ? 4 : 6, pauseMs: 1_500 })
    let looks = 0
    let slowestMs = 0
    try {
      const known = await signInAndMakeKey(world)
      // Each of them is heard of once by each replica of each service; a key made up now is nobody's.
      await until('every service knows the member and the key', () => knows(world, known), 20_000)
      expectThat((await statusOf(world, strangersKey(world))) === 401, 'a key of nobody is not refused with 401')
      expectThat((await wrongSignIn(world)) === 401, 'a wrong password is not refused with 401')
      const countedBefore = await countedMessages(world)

      const release = world.keepDown('accounts')
      try {
        await until('no process of accounts takes calls', () => world.supervisor.live('accounts').length === 0, 5_000)
        const wakeAt = performance.now() + awayMs
        while (performance.now() < wakeAt) {
          slowestMs = Math.max(slowestMs, await looksFine(stage, known))
          looks++
          await wait(quick ? 500 : 2_000)
        }
        expectThat(world.supervisor.live('accounts').length === 0, 'accounts came back although it was kept down')
      } finally {
        release()
      }
      await until('accounts is back', async () => (await wrongSignIn(world)) === 401, 60_000, 250)
      await until(
        'a key of nobody is refused with 401 again',
        async () => (await statusOf(world, strangersKey(world))) === 401,
        20_000,
        250,
      )
      expectThat((await countedMessages(world)) >= countedBefore, 'accounts forgot what it had counted')
    } finally {
      await load.stop()
    }
    const left = await quiesce(world, 240_000)
    expectThat(left.length === 0, `still under way: ${left.join('; ')}`)
    const counted = await metersAgree(stage)
    return {
      rounds: 1,
      note: `${awayMs / 1000} s away, ${looks} looks, answers after ${slowestMs} ms at most; ${counted} messages metered`,
    }
  },
}

/** What must hold at any moment while accounts is away; gives how long an answer to a customer took. */
async function looksFine(stage: Stage, known: Credentials): Promise<number> {
  const { world } = stage
  const tookMs = await knowsAndAnswers(stage, known)
  const stranger = await statusOf(world, strangersKey(world))
  expectThat(stranger === 503, `an unknown key was answered ${stranger}`)
  const refused = await wrongSignIn(world)
  expectThat(refused === 503, `a sign-in was answered ${refused}`)
  return tookMs
}

/** A customer gets an answer, and the other services know a member and a key; gives how long the answer took. */
export async function knowsAndAnswers({ world, sender }: Stage, { token, tokenUntil, key }: Credentials): Promise<number> {
  const began = performance.now()
  const { ref, answers } = await sender.newCustomer().writes()
  expectThat(answers.length === 1, `a webhook was taken only after ${answers.join(', ')}`)
  await world.phone.waitForSent(({ text }) => text?.includes(ref as string) === true, longestAnswerMs)
  const tookMs = Math.round(performance.now() - began)
  for (const path of elsewhere) {
    // An access token is good for ten minutes, and only accounts gives the next one.
    if (performance.now() < tokenUntil - 5_000) {
      const status = await statusOf(world, token, path)
      expectThat(status === 200, `a member's token was answered ${status} at ${path}`)
    }
    const status = await statusOf(world, key, path)
    expectThat(status === 200, `a known key was answered ${status} at ${path}`)
  }
  return tookMs
}
