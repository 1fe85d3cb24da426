import { defineEvent, Id } from '@parley/contracts'
import { defineService, kit } from '@parley/runtime'
import { z } from 'zod'

const Question = z.object({ topic: z.string().min(1).max(100), number: z.int(), text: z.string().max(1_000) })

export const questionAsked = defineEvent({
  type: 'question.asked',
  version: 1,
  key: 'topic',
  summary: 'A question of the hop benchmark.',
  data: Question,
})
const questionAnswered = defineEvent({
  type: 'question.answered',
  version: 1,
  key: 'topic',
  summary: 'Its answer: the same, one hop later.',
  data: Question.extend({ answers: Id }),
})

export interface HopApp {
  handled: number
  /** Epoch milliseconds of the first event; 0 before it. */
  firstAt: number
}
interface HopTables {
  answers: { organizationId: string; id: string; topic: string; text: string }
}

const { on } = kit<HopApp, HopTables>()

const answerQuestion = on('answer-question', questionAsked, async ({ event, tx, app, emit }) => {
  if (app.firstAt === 0) app.firstAt = performance.timeOrigin + performance.now()
  app.handled++
  const { organizationId, id, data } = event
  await tx.insertInto('answers').values({ organizationId, id, topic: data.topic, text: data.text }).execute()
  emit(questionAnswered, { ...data, answers: id })
})

/** The smallest service that does what a hop is: hears an event, writes a row, states an event. */
export const hopService = defineService<HopApp, HopTables, object>({
  name: 'hop',
  summary: 'One insert and one event per event, for the benchmark.',
  config: z.object({}),
  handlers: [answerQuestion],
  states: [questionAnswered],
  migrations: [
    {
      name: '001-answers',
      up: 'create table answers (organization_id uuid not null, id uuid not null, topic text not null, text text not null, primary key (organization_id, id));',
    },
  ],
  async open() {
    return { handled: 0, firstAt: 0 }
  },
})
