import type { Chain, Step } from './chain.ts'
import { outcomeOf, partsOf } from './parts.ts'

/** The end of an id: ids of one moment begin alike. */
const shortId = (id: string) => (id.length > 12 ? `…${id.slice(-6)}` : id)

const padMs = (ms: number) => `${String(Math.max(0, Math.round(ms))).padStart(6)} ms`

/** A chain as lines for a terminal: milliseconds since its start, service, what happened, what to look up. */
export function timelineLines(chain: Chain): string[] {
  const serviceWidth = Math.max(0, ...chain.steps.map((step) => step.service.length))
  const told = chain.steps.map((step) => ({ step, text: sentence(step) }))
  const textWidth = Math.min(100, Math.max(0, ...told.map(({ text }) => text.length)))
  return told.map(({ step, text }) =>
    `${padMs(step.startedAt - chain.startedAt)}  ${step.service.padEnd(serviceWidth)}  ${text.padEnd(textWidth)}  ${step.kind === 'effect' ? step.subject : shortId(step.subject)}`.trimEnd(),
  )
}

function sentence(step: Step): string {
  const results = [
    ...counted(step.stated.map((event) => event.type)),
    ...step.asked.map((job) => `job ${job.name}${job.delayMs > 0 ? ` in ${job.delayMs} ms` : ''}`),
  ]
  const so = results.length > 0 ? ` → ${results.join(', ')}` : ''
  const tookMs = step.endedAt - step.startedAt
  switch (step.kind) {
    case 'received':
      return `takes a ${step.name}${step.heard === null ? '' : ` (${step.heard})`} in${so}`
    case 'handled':
      return `${step.name} hears ${step.heard}${so}`
    case 'job':
      return `job ${step.name} ${step.state === 'completed' ? `runs ${tookMs} ms` : `is ${step.state}`}${so}`
    case 'effect':
      return `calls out: ${step.name}, ${step.state}${step.state === 'confirmed' ? ` after ${tookMs} ms` : ''}${step.detail === null ? '' : ` (${step.detail})`}`
  }
}

/** `a, b ×2`: one commit may state the same kind of fact several times. */
function counted(types: readonly string[]): string[] {
  return [...Map.groupBy(types, (type) => type)].map(([type, same]) => (same.length > 1 ? `${type} ×${same.length}` : type))
}

/** Why a chain does not go on, what needs a person first; empty when it ran to its end. */
export function stopLines(chain: Chain): string[] {
  return chain.stops
    .toSorted((a, b) => Number(a.passing) - Number(b.passing))
    .flatMap((stop) => [
      `${stop.passing ? 'Not finished' : 'Stopped'} in ${stop.service}: ${stop.what}.`,
      `  Why: ${stop.why}.`,
      ...(stop.remedy === null ? [] : [`  Then: ${stop.remedy}`]),
    ])
}

/** How the time to the outcome was spent, largest share first. */
export function partLines(chain: Chain): string[] {
  const outcome = outcomeOf(chain)
  if (!outcome) return []
  const parts = partsOf(chain, outcome).toSorted((a, b) => b.ms - a.ms)
  const totalMs = parts.reduce((sum, part) => sum + part.ms, 0)
  return [`${padMs(totalMs)}  in all:`, ...parts.map((part) => `${padMs(part.ms)}  ${part.what}`)]
}
