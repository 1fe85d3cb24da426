import { createHmac } from 'node:crypto'
import type { World } from '@parley/runtime/testing'

/** A webhook source as its owner set it up. */
export interface Door {
  id: string
  path: string
  header: { name: string; value: string } | null
}

export async function openDoor(world: World, body: Record<string, unknown>, key?: string): Promise<Door> {
  const { status, body: source } = await world.call('POST', '/v1/webhook-sources', {
    body,
    ...(key === undefined ? {} : { key }),
  })
  if (status !== 201) throw new Error(`No source: ${status} ${JSON.stringify(source)}`)
  return source
}

/** What the door says of a delivery, taken or not. */
export interface Answer {
  received?: boolean
  receiptId: string
  duplicate?: boolean
  error?: { code: string; message: string }
}

/** Posts bytes as a provider would. */
export async function post(
  world: World,
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Answer; headers: Headers }> {
  const response = await fetch(world.running.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text), headers: response.headers }
}

export function whapiMessage(id: string, text: string, chat = '33612345678@s.whatsapp.net') {
  const message = {
    id,
    type: 'text',
    chat_id: chat,
    from_me: false,
    from: chat.split('@')[0],
    from_name: 'Zoé',
    timestamp: 1_767_225_600,
    source: 'mobile',
    text: { body: text },
  }
  return { messages: [message], event: { type: 'messages', event: 'post' }, channel_id: 'PHONE-1' }
}

export function shopifySignature(secret: string, body: string): string {
  return createHmac('sha256', secret).update(body).digest('base64')
}

export function elevenLabsSignature(secret: string, body: string, at = Math.floor(Date.now() / 1000)): string {
  return `t=${at},v0=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`
}
