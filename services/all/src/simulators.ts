import { type ModelSimulator, startModelSimulator } from '@parley/providers/model'
import { startWhapiSimulator, type WhapiSimulator } from '@parley/providers/whapi'
import type { State } from './home.ts'
import { freePort } from './ports.ts'

/** The outside world of a start without keys. Undefined: a real one is configured. */
export interface Simulators {
  phone: WhapiSimulator | undefined
  model: ModelSimulator | undefined
  close(): Promise<void>
}

/** Starts what no key was given for, on last time's port when it is free, so that stored addresses stay right. */
export async function startSimulators(state: State, environment: NodeJS.ProcessEnv): Promise<Simulators> {
  const phone = environment['WHAPI_TOKEN']
    ? undefined
    : await startWhapiSimulator({
        token: state.phone.token,
        channelId: state.phone.channelId,
        port: await freePort(state.ports.phone),
      })
  const model = environment['MODEL_API_KEY'] ? undefined : await startModelSimulator({ port: await freePort(state.ports.model) })
  if (phone) state.ports.phone = Number(new URL(phone.url).port)
  if (model) state.ports.model = Number(new URL(model.url).port)
  return {
    phone,
    model,
    async close() {
      await phone?.close()
      await model?.close()
    },
  }
}
