import { createKeySecret, createOrganizationKeyId } from '@parley/runtime'
import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import { demoOwnerEmail } from '../../src/provision.ts'
import { expectThat, until } from './scenarios/until.ts'
import type { World } from './world.ts'

/** A read of each service that must know who calls, and may not need accounts for it. */
export const elsewhere = ['/v1/conversations', '/v1/agents', '/v1/receipts', '/v1/channels'] as const
const permissions = ['conversations:read', 'agents:read', 'receipts:read', 'channels:read'] as const
/** Nothing asks for longer than this before it says that accounts is away: the ask's own time-out is two seconds. */
const longestRefusalMs = 5_000

export interface Credentials {
  token: string
  /** When it runs out, by this process' clock in milliseconds. */
  tokenUntil: number
  key: string
}

/** As the owner of the demo organization does it: a link by mail, and with it a key for the other services. */
export async function signInAndMakeKey(world: World): Promise<Credentials> {
  const { api } = world
  const Mails = z.object({ items: z.array(z.object({ mailId: z.string(), kind: z.string(), text: z.string().nullable() })) })
  const mails = async () => (await api.get(`/v1/dev/mail?to=${encodeURIComponent(demoOwnerEmail)}`, Mails)).items
  const before = new Set((await mails()).map(({ mailId }) => mailId))
  const Asked = z.object({ requestToken: z.string() })
  const { requestToken } = await api.post('/v1/auth/magic-link', { email: demoOwnerEmail }, Asked)
  let token: string | undefined
  await until(
    'the mail with the link',
    async () => {
      const mail = (await mails()).find(({ mailId, kind }) => kind === 'magic_link' && !before.has(mailId))
      token = mail?.text?.match(/#token=([\w-]+)/)?.[1]
      return token !== undefined
    },
    20_000,
    250,
  )
  const SignedIn = z.object({ accessToken: z.string(), expiresIn: z.number(), organizationId: z.string() })
  const signedIn = await api.post('/v1/auth/magic-link/redeem', { requestToken, token }, SignedIn)
  expectThat(signedIn.organizationId === world.organizationId, 'the owner is signed in to another organization')
  const made = await fetch(`${world.url}/v1/api-keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${signedIn.accessToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Chaos', scopes: permissions, perMinute: 100_000, perDay: null }),
    signal: AbortSignal.timeout(15_000),
  })
  expectThat(made.status === 201, `no key was made: ${made.status}`)
  const { key } = z.object({ key: z.string() }).parse(await made.json())
  return { token: signedIn.accessToken, tokenUntil: performance.now() + signedIn.expiresIn * 1000, key }
}

export async function statusOf(
  world: World,
  credential: string,
  path: string = elsewhere[0],
  timeoutMs = longestRefusalMs,
): Promise<number> {
  const response = await fetch(world.url + path, {
    headers: { authorization: `Bearer ${credential}` },
    signal: AbortSignal.timeout(timeoutMs),
  })
  await response.arrayBuffer()
  return response.status
}

/** Two replicas stand behind a path: asked often enough in turn, each of them has answered. */
export async function knows(world: World, { token, key }: Credentials): Promise<boolean> {
  const statuses = await Promise.all(
    elsewhere.flatMap((path) => [token, key, token, key].map((credential) => statusOf(world, credential, path))),
  )
  return statuses.every((status) => status === 200)
}

/** One key of this organization that was never made, another one each time: nothing remembers it. */
export const strangersKey = (world: World) => createKeySecret(createOrganizationKeyId(world.organizationId)).key

export async function wrongSignIn(world: World): Promise<number> {
  const response = await fetch(`${world.url}/v1/auth/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: `${randomUUIDv7()}@example.com`, password: 'not the right one at all' }),
    signal: AbortSignal.timeout(15_000),
  })
  await response.arrayBuffer()
  return response.status
}
