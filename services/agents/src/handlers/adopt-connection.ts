import { connectionChanged } from '@parley/contracts'
import { on } from '../app.ts'
import { saveModelConnection } from '../db/model-connections.ts'

/** Keeps an organization's own model account: the next turn is asked through it. */
export const adoptConnection = on('adopt-connection', connectionChanged, async ({ event, tx }) => {
  const { connectionId, provider, status, revision, settings, credentials } = event.data
  if (provider !== 'openai') return
  const text = (name: string) => (typeof settings[name] === 'string' ? settings[name] : null)
  const number = (name: string) => (typeof settings[name] === 'number' ? settings[name] : null)
  await saveModelConnection(tx, event.organizationId, {
    connectionId,
    status,
    revision,
    baseUrl: text('baseUrl'),
    model: text('model'),
    promptPriceMicros: number('promptPriceMicros'),
    completionPriceMicros: number('completionPriceMicros'),
    keyVersion: credentials?.keyVersion ?? null,
    wrappedKey: credentials?.wrappedKey ?? null,
    sealed: credentials?.sealed ?? null,
  })
})
