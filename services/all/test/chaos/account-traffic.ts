import { randomUUIDv7 } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { wrongSignIn } from './callers.ts'
import { expectThat } from './scenarios/until.ts'
import type { World } from './world.ts'

/** People at work in accounts while something breaks: they invite, change what a member may, and sign in. */
export interface AccountTraffic {
  /** No new calls; resolves when every one that was begun has been carried through. */
  stop(): Promise<void>
  /** What was accepted is there, and in the audit log, once: when everything has settled. Gives a remark for the table. */
  check(): Promise<string>
}

/** Everything begun is tried again for this long; longer than any fault here lasts. */
const giveUpMs = 120_000
const timeoutMs = 15_000
/** Fewer than a door lets one address make in a minute. */
const inviteEveryMs = 2_500
const signInEveryMs = 2_000
const changeEveryMs = 700
const toggled = ['agents:read', 'receipts:read']

export async function startAccountTraffic(world: World): Promise<AccountTraffic> {
  const Members = z.object({
    items: z.array(z.object({ userId: z.string(), role: z.string(), permissions: z.array(z.string()) })),
  })
  const { items } = await world.api.get('/v1/members?limit=100', Members)
  const found = items.find(({ role }) => role === 'owner')
  expectThat(found !== undefined, 'the demo organization has no owner')
  const owner = found.userId
  // The traffic of a fault before this one may have left them given; a change to what is there already is none.
  const begunWith = found.permissions.length > 0
  const run = randomUUIDv7().slice(-6)
  const stopping = new AbortController()
  const invited: string[] = []
  const changes: { reason: string; permissions: string[]; tries: number }[] = []
  const refusals = new Set<number>()
  let slowestMs = 0

  /** One call; its status, 0 when no answer came. */
  async function call(method: string, path: string, body: unknown, headers: Record<string, string> = {}): Promise<number> {
    const began = performance.now()
    try {
      const response = await fetch(world.url + path, {
        method,
        headers: { authorization: `Bearer ${world.operatorKey}`, 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(timeoutMs),
      })
      await response.arrayBuffer()
      return response.status
    } catch {
      return 0 // No answer: the outcome is unknown, and the same call is made again.
    } finally {
      slowestMs = Math.max(slowestMs, performance.now() - began)
    }
  }

  /** Again and again until a 2xx. Throws on a decision against it, and when that takes too long. */
  async function insist(what: string, once: () => Promise<number>): Promise<void> {
    for (const deadline = performance.now() + giveUpMs; ; ) {
      const status = await once()
      if (status >= 200 && status <= 299) return
      expectThat(status === 0 || status === 503 || status === 409, `${what} was answered ${status}`)
      refusals.add(status)
      expectThat(performance.now() < deadline, `${what} was not taken within ${giveUpMs} ms`)
      await wait(500)
    }
  }

  async function invite(number: number): Promise<void> {
    const email = `chaos-${run}-${number}@example.com`
    // With its key the call is carried out once, however often it is made; 409 is said while the first is still under way.
    const key = { 'idempotency-key': randomUUIDv7() }
    await insist('an invitation', () => call('POST', '/v1/invitations', { email, role: 'viewer' }, key))
    invited.push(email)
  }

  async function change(number: number): Promise<void> {
    const entry = { reason: `chaos ${run} ${number}`, permissions: (number % 2 === 0) === begunWith ? [] : toggled, tries: 0 }
    await insist('a change of a member', () => {
      entry.tries++
      return call('PATCH', `/v1/members/${owner}`, { permissions: entry.permissions, reason: entry.reason })
    })
    changes.push(entry)
  }

  async function signIn(): Promise<void> {
    const status = await wrongSignIn(world).catch(() => 0)
    // 429: one address may try so many times a minute, and every caller here has the same.
    expectThat([0, 401, 429, 503].includes(status), `a wrong sign-in was answered ${status}`)
  }

  async function again(everyMs: number, work: (number: number) => Promise<void>): Promise<void> {
    for (let number = 0; !stopping.signal.aborted; number++) {
      await work(number)
      await wait(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  }
  const lives = [again(inviteEveryMs, invite), again(changeEveryMs, change), again(signInEveryMs, signIn)]
  // Whoever stops it hears of a failure; until then it must not end the process.
  for (const life of lives) life.catch(() => undefined)

  return {
    async stop() {
      stopping.abort()
      await Promise.all(lives)
    },
    async check() {
      const invitations = await world.sql<{ email: string; rows: number; audited: number }>(
        `select given.email, count(i.*)::int as rows, (select count(*)::int from accounts.audit_entries a
           where a.organization_id = $2 and a.resource_type = 'invitation' and a.after->>'email' = given.email) as audited
         from unnest($1::text[]) as given (email) left join accounts.invitations i on i.email = given.email and i.organization_id = $2
         group by 1`,
        [invited, world.organizationId],
      )
      const wrong = invitations.find(({ rows, audited }) => rows !== 1 || audited !== 1)
      expectThat(wrong === undefined, `an invitation is there ${wrong?.rows} times and ${wrong?.audited} times in the audit log`)
      const audited = await world.sql<{ reason: string; times: number }>(
        `select reason, count(*)::int as times from accounts.audit_entries
         where organization_id = $1 and reason = any($2::text[]) group by reason`,
        [world.organizationId, changes.map(({ reason }) => reason)],
      )
      const times = new Map(audited.map((row) => [row.reason, row.times]))
      // A change that was made although its answer got lost finds nothing to change the second time.
      const lost = changes.find(({ reason }) => times.get(reason) !== 1)
      expectThat(
        lost === undefined,
        `a member's change is in the audit log ${times.get(lost?.reason ?? '') ?? 0} times, after ${lost?.tries} tries`,
      )
      const Member = z.object({ permissions: z.array(z.string()) })
      const { permissions } = await world.api.get(`/v1/members/${owner}`, Member)
      const last = changes.at(-1)?.permissions ?? []
      expectThat(
        permissions.toSorted().join() === last.toSorted().join(),
        `the last change of a member was undone: ${permissions.join(', ')}`,
      )
      expectThat(invited.length > 0 && changes.length > 1, 'nothing happened in accounts')
      const seen = [...refusals].map((status) => status || 'no answer').join(', ') || 'none'
      return `${invited.length} invitations and ${changes.length} changes of a member, slowest ${Math.round(slowestMs)} ms, refusals: ${seen}`
    },
  }
}
