import type { Chain, Step } from './chain.ts'

/** A share of the time between the start of a chain and its outcome. */
export interface Part {
  what: string
  ms: number
}

/** What a chain led to: the last call out that succeeded; without one, the last step. */
export function outcomeOf(chain: Chain): Step | undefined {
  return chain.steps.findLast((step) => step.kind === 'effect' && step.state === 'confirmed') ?? chain.steps.at(-1)
}

/**
 * Where the time went until `outcome`, along its causes: taking the webhook in, waiting on purpose (a job that was not due yet),
 * waiting for a worker, running, and the way between services. The parts add up to the whole.
 */
export function partsOf(chain: Chain, outcome: Step): Part[] {
  const sums = new Map<string, number>()
  let clock = chain.startedAt
  const until = (moment: number, what: string) => {
    if (moment <= clock) return
    sums.set(what, (sums.get(what) ?? 0) + moment - clock)
    clock = moment
  }
  const path = pathTo(chain, outcome)
  for (const [place, step] of path.entries()) {
    const next = path[place + 1]
    switch (step.kind) {
      case 'received':
        until(step.endedAt, `${step.service}: take the ${step.name} in`)
        break
      case 'handled':
        until(step.startedAt, 'between services: outbox, bus, lane')
        break
      case 'job':
        until(Math.min(step.dueAt, step.startedAt), `${step.service}: ${step.name} waits on purpose`)
        until(step.startedAt, `${step.service}: ${step.name} waits for a worker`)
        // A call out tells its own share of the run; what another step hears was committed before the run was over.
        until(next ? Math.min(step.endedAt, next.startedAt) : step.endedAt, `${step.service}: ${step.name} runs`)
        break
      case 'effect':
        until(step.startedAt, `${step.service}: prepare ${step.name}`)
        until(step.endedAt, `${step.service}: ${step.name} at the provider`)
    }
  }
  return [...sums].map(([what, ms]) => ({ what, ms }))
}

/** The steps that led to one, from the start. */
function pathTo(chain: Chain, outcome: Step): Step[] {
  const byId = new Map(chain.steps.map((step) => [step.id, step]))
  const path: Step[] = []
  let step: Step | undefined = outcome
  while (step && !path.includes(step)) {
    path.unshift(step)
    step = step.cause === null ? undefined : byId.get(step.cause)
  }
  return path
}
