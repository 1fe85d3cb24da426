import { openGuardedAgent } from '@parley/providers/http'
import { type Model, openModel, simulatedModelName } from '@parley/providers/model'
import { credentialsPlace, openCredentials, type SealingKeys } from '@parley/runtime'
import type { ModelConnection } from './db/model-connections.ts'

/** The model that a turn is asked through. */
export interface ModelChoice {
  model: Model
  /** True when no real model is behind it: every record says so. */
  simulated: boolean
  /** The organization's own account; null: the operator's. */
  connection: { connectionId: string; revision: number } | null
}

export interface Models {
  simulated: boolean
  /** The operator's; the first is the default. */
  names: readonly string[]
  /** The organization's own model, when it has one; else the operator's of that name, or the default. Throws SealBroken. */
  choose(name: string | null, connection: ModelConnection | undefined): ModelChoice
  close(): Promise<void>
}

export interface ModelSettings {
  keys: SealingKeys
  /** Undefined: the simulated model answers. */
  apiKey: string | undefined
  baseUrl: string | undefined
  simulatorUrl: string | undefined
  name: string
  alternatives: readonly string[]
  timeoutMs: number
  maxTokens: number
  promptPriceMicros: number
  completionPriceMicros: number
  /** Origins that an organization's own model may have although they are not public. */
  trusted: readonly string[]
  maxConcurrent: number
  now(): Date
}

/** Each holds a breaker, so one of an organization must not be made anew for each turn. */
const mostOwnModels = 1_000

export function openModels(settings: ModelSettings): Models {
  const { apiKey, simulatorUrl, timeoutMs, maxConcurrent, now } = settings
  const simulated = apiKey === undefined
  const defaultName = simulated ? simulatedModelName : settings.name
  const common = { timeoutMs, maxCompletionTokens: settings.maxTokens, maxConcurrent, now }
  const baseUrl = simulated ? simulatorUrl : settings.baseUrl
  const open = (model: string) =>
    openModel({
      ...common,
      ...(baseUrl === undefined ? {} : { baseUrl }),
      apiKey: apiKey ?? 'simulated',
      model,
      pricing: pricing(null, null),
    })
  const fallback = open(defaultName)
  const models = new Map([[defaultName, fallback]])
  for (const name of simulated ? [] : settings.alternatives) if (!models.has(name)) models.set(name, open(name))

  const simulator = simulatorUrl === undefined ? [] : [new URL(simulatorUrl).origin]
  const trusted = [...settings.trusted, ...simulator]
  // Accounts looked at the address when it was saved; where its name leads by now is looked at here, with each connection.
  const dispatcher = openGuardedAgent({ trusted, connections: maxConcurrent })
  const own = new Map<string, Model>()

  function ownModel(connection: ModelConnection, name: string): Model {
    const { organizationId, connectionId, revision, credentials } = connection
    const key = `${organizationId} ${connectionId} ${revision} ${name}`
    const known = own.get(key)
    if (known) return known
    const opened = openCredentials(settings.keys, credentialsPlace(organizationId, connectionId), credentials)
    const model = openModel({
      ...common,
      ...(connection.baseUrl === null ? {} : { baseUrl: connection.baseUrl }),
      apiKey: opened['apiKey'] ?? '',
      model: name,
      pricing: pricing(connection.promptPriceMicros, connection.completionPriceMicros),
      dispatcher,
    })
    const oldest = own.keys().next()
    if (own.size >= mostOwnModels && !oldest.done) own.delete(oldest.value)
    own.set(key, model)
    return model
  }

  function pricing(prompt: number | null, completion: number | null) {
    return {
      promptMicrosPerMillion: prompt ?? settings.promptPriceMicros,
      completionMicrosPerMillion: completion ?? settings.completionPriceMicros,
    }
  }

  return {
    simulated,
    names: [...models.keys()],
    choose(name, connection) {
      if (!connection) return { model: models.get(name ?? defaultName) ?? fallback, simulated, connection: null }
      const { connectionId, revision } = connection
      const isSimulator = connection.baseUrl !== null && simulator.includes(new URL(connection.baseUrl).origin)
      const usual = isSimulator ? simulatedModelName : (name ?? settings.name)
      const model = ownModel(connection, connection.model ?? usual)
      return { model, simulated: isSimulator, connection: { connectionId, revision } }
    },
    async close() {
      await Promise.all([...models.values()].map((model) => model.close()))
      await dispatcher.destroy()
    },
  }
}
