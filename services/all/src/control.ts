import type { WhapiSimulator } from '@parley/providers/whapi'
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'
import { textOf } from './failure.ts'

export const Say = z.strictObject({
  text: z.string().min(1).max(4_096),
  /** Digits of the customer's phone. */
  from: z.string().regex(/^[1-9][0-9]{6,14}$/, 'from: digits of a phone number with its country code, like 33612345678'),
  timeoutMs: z.int().min(0).max(600_000),
})
export type Say = z.infer<typeof Say>

export const Said = z.object({
  providerMessageId: z.string(),
  /** What the webhook answered. */
  status: z.number().nullable(),
  receiptId: z.string().nullable(),
  /** The first message that reached the phone after it; null when none came in time. */
  answer: z.object({ id: z.string(), text: z.string().nullable(), at: z.string() }).nullable(),
})
export type Said = z.infer<typeof Said>

/** Writes as a customer on the simulated phone and waits for what comes back there. */
export async function sayAs(phone: WhapiSimulator, { text, from, timeoutMs }: Say): Promise<Said> {
  const before = phone.sentTo(from).length
  const delivery = await phone.customerSends({ from, text, persist: true })
  const parsed = z.object({ receiptId: z.string() }).safeParse(parseJson(delivery.body))
  const answered = () => phone.sentTo(from)[before]
  if (answered() === undefined && timeoutMs > 0) {
    // No answer in time is an answer too: `why` tells what keeps it.
    await phone.waitForSent(() => answered() !== undefined, timeoutMs).catch(() => undefined)
  }
  const entry = answered()
  return {
    providerMessageId: delivery.messageId,
    status: delivery.status,
    receiptId: parsed.success ? parsed.data.receiptId : null,
    answer: entry ? { id: entry.id, text: entry.text, at: entry.at.toISOString() } : null,
  }
}

/**
 * Lets other commands of this user write on the simulated phone: POST /say on a loopback port, with a token that only the running
 * file knows, because any page in a browser may knock on loopback.
 */
export async function startControl(phone: WhapiSimulator): Promise<{ url: string; token: string; close(): Promise<void> }> {
  const token = randomBytes(24).toString('base64url')
  const expected = Buffer.from(`Bearer ${token}`)
  const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
    const answer = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    const given = Buffer.from(request.headers.authorization ?? '')
    if (given.length !== expected.length || !timingSafeEqual(given, expected))
      return answer(401, { error: 'The token of running.json is needed.' })
    if (request.method !== 'POST' || request.url !== '/say') return answer(404, { error: 'There is only POST /say.' })
    readBody(request)
      .then(async (text) => {
        const say = Say.safeParse(parseJson(text))
        if (!say.success) return answer(400, { error: say.error.issues[0]?.message ?? 'Not a message.' })
        return answer(200, await sayAs(phone, say.data))
      })
      .catch((error: unknown) => answer(500, { error: textOf(error) }))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const largestBody = 64 * 1024

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += (chunk as Buffer).length
    if (size > largestBody) throw new RangeError('The body is too large.')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // Refused by the schema that comes next.
  }
}
