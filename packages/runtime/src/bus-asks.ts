import type { NatsConnection } from '@nats-io/transport-node'
import { z } from 'zod'
import type { Line } from './bus-line.ts'
import { AppError, describe, type ErrorCode, errorStatus } from './errors.ts'
import type { Logger } from './log.ts'
import { createSeldom } from './seldom.ts'

/** Questions from one service to another whose answer is needed now; facts travel as events. */
export interface Asks {
  /**
   * What some replica of the service that knows answers, in its shape. Rejects with that service's own AppError, or with
   * `unavailable` when nobody answers within `timeoutMs`; whether the question arrived is then unknown.
   */
  ask<Reply>(topic: string, data: unknown, reply: z.ZodType<Reply>, timeoutMs?: number): Promise<Reply>
  /** Answers a topic together with the other replicas that do: one of them gets each question. Returns the end of it. */
  answer<Question>(topic: string, question: z.ZodType<Question>, reply: (question: Question) => Promise<unknown>): () => void
}

/** Subject of a topic, `identity.member`: its parts are tokens, so that a broker's permissions can name a family of them. */
function askSubject(root: string, topic: string): string {
  if (!/^[a-z][a-z-]{0,30}(\.[a-z][a-z-]{0,30}){0,3}$/.test(topic)) throw new TypeError(`'${topic}' cannot name a question.`)
  return `ask.${root}.${topic}`
}

const Failure = z.object({ code: z.enum(Object.keys(errorStatus) as [ErrorCode, ...ErrorCode[]]), message: z.string() })
const Answer = z.union([z.object({ error: Failure }), z.object({ value: z.unknown() })])

const defaultTimeoutMs = 2_000
/** Questions under way at once, out and in: whoever floods us with unknown keys gets 503, and nobody else is held up for long. */
const mostAsked = 64
const mostAnswered = 64
const largestBytes = 256 * 1024

const away = (cause: unknown) => new AppError('unavailable', 'A part of the system is away for a moment. Try again.', { cause })

/** Request and reply over the broker's plain messages: nothing is stored, errors travel as values. */
export function openAsks(nc: NatsConnection, line: Line, root: string, log: Logger): Asks {
  let asked = 0
  /** A stranger's key or token makes a question each time. */
  const failures = createSeldom({ everyMs: 10_000 })

  async function request(topic: string, data: unknown, timeoutMs: number): Promise<unknown> {
    if (asked >= mostAsked) throw away(new Error(`${mostAsked} questions are under way.`))
    asked++
    try {
      const message = await line.unlessLost(() =>
        nc.request(askSubject(root, topic), JSON.stringify({ data }), { timeout: timeoutMs }),
      )
      return message.json()
    } catch (error) {
      // No responders, a time-out, a broken line: which of them makes no difference to whoever asked.
      throw away(error)
    } finally {
      asked--
    }
  }

  return {
    async ask(topic, data, reply, timeoutMs = defaultTimeoutMs) {
      const answer = Answer.parse(await request(topic, data, timeoutMs))
      if ('error' in answer) throw new AppError(answer.error.code, answer.error.message)
      return reply.parse(answer.value)
    },
    answer(topic, question, reply) {
      let answering = 0
      const answerTo = async (text: Uint8Array): Promise<z.infer<typeof Answer>> => {
        if (answering >= mostAnswered) return { error: { code: 'unavailable', message: 'Too much is asked at once.' } }
        answering++
        try {
          const { data } = z.object({ data: z.unknown() }).parse(JSON.parse(new TextDecoder().decode(text)))
          return { value: (await reply(question.parse(data))) ?? null }
        } catch (error) {
          if (error instanceof AppError) return { error: { code: error.code, message: error.message } }
          const repeated = failures.heldBack(`${topic} ${describe(error).name}`)
          if (repeated !== null) log.warn({ err: error, topic, repeated }, 'a question could not be answered')
          return { error: { code: 'unavailable', message: 'A part of the system is away for a moment. Try again.' } }
        } finally {
          answering--
        }
      }
      const subscription = nc.subscribe(askSubject(root, topic), {
        queue: 'answer',
        callback: (error, message) => {
          if (error) return log.warn({ err: describe(error), topic }, 'questions of this topic are not heard')
          if (message.data.length > largestBytes) return
          // The broker can be made to deliver an event here: it comes under its own subject, and nobody was allowed to ask that.
          if (message.subject !== askSubject(root, topic)) return
          void answerTo(message.data).then((answer) => {
            if (!nc.isClosed()) message.respond(JSON.stringify(answer))
          })
        },
      })
      return () => subscription.unsubscribe()
    },
  }
}
