import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import { failure, textOf } from './failure.ts'
import type { Home } from './home.ts'
import { findRunning } from './running.ts'

/** A Parley's HTTP door with a key. Every call throws Failure with a sentence for the user when it does not succeed. */
export interface Api {
  readonly url: string
  get<T>(path: string, reply: z.ZodType<T>): Promise<T>
  /** As `get`; undefined when the answer is 404. */
  find<T>(path: string, reply: z.ZodType<T>): Promise<T | undefined>
  post<T>(path: string, body: unknown, reply: z.ZodType<T>): Promise<T>
  put<T>(path: string, body: unknown, reply: z.ZodType<T>): Promise<T>
}

const timeoutMs = 15_000

export function openApi(url: string, key: string): Api {
  async function exchange(method: string, path: string, body: unknown): Promise<{ status: number; text: string }> {
    try {
      const response = await fetch(url + path, {
        method,
        headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      })
      return { status: response.status, text: await response.text() }
    } catch (cause) {
      const reason = textOf((cause as Error).cause ?? cause)
      throw failure(`Parley does not answer at ${url}: ${reason}. Is it running there? \`parley doctor\` looks closer.`, cause)
    }
  }
  async function call<T>(method: string, path: string, reply: z.ZodType<T>, body?: unknown): Promise<T> {
    const { status, text } = await exchange(method, path, body)
    if (status < 200 || status > 299) throw failure(`${method} ${path} was answered ${status}: ${errorText(text)}`)
    return read(`${method} ${path}`, reply, text)
  }
  function read<T>(what: string, reply: z.ZodType<T>, text: string): T {
    const parsed = reply.safeParse(parseJson(text))
    if (!parsed.success) throw failure(`${what} answered in an unknown shape: is ${url} a Parley of this version?`, parsed.error)
    return parsed.data
  }
  return {
    url,
    get: (path, reply) => call('GET', path, reply),
    async find(path, reply) {
      const { status, text } = await exchange('GET', path, undefined)
      if (status === 404) return undefined
      if (status !== 200) throw failure(`GET ${path} was answered ${status}: ${errorText(text)}`)
      return read(`GET ${path}`, reply, text)
    },
    post: (path, body, reply) => call('POST', path, reply, body),
    put: (path, body, reply) => call('PUT', path, reply, body),
  }
}

/** PARLEY_URL with PARLEY_KEY when given, else the instance that runs on this home. Throws Failure when there is neither. */
export function findApi(home: Home, environment: NodeJS.ProcessEnv = process.env): Api {
  const url = environment['PARLEY_URL']
  const key = environment['PARLEY_KEY']
  if (url && key) return openApi(url.replace(/\/+$/, ''), key)
  if (url || key) throw failure(`${url ? 'PARLEY_KEY' : 'PARLEY_URL'} is missing: PARLEY_URL and PARLEY_KEY go together.`)
  const running = findRunning(home)
  if (!running)
    throw failure('No Parley is running here. Start one with `parley start`, or name one in PARLEY_URL and PARLEY_KEY.')
  if (!running.ready) throw failure('Parley is still starting. Try again in a moment.')
  return openApi(running.url, readFileSync(home.keyFile, 'utf8').trim())
}

function errorText(text: string): string {
  const body = parseJson(text) as { error?: { message?: string } } | undefined
  return body?.error?.message ?? text.slice(0, 200)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // Refused by the schema, or shown as it is.
  }
}
