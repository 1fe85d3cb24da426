/**
 * What services answer beside their route lists: a plugin's paths are known to Fastify only once it runs, in a process that the
 * door of the split shape is not in. The test compares this table with a door that runs.
 */
export const pluginRoutes: readonly { service: string; path: string }[] = [
  { service: 'ingest', path: '/webhooks/:provider/:token' },
  { service: 'ingest', path: '/functions/whatsapp-webhook' },
  { service: 'ingest', path: '/functions/v1/handle-call-webhook' },
  { service: 'inbox', path: '/v1/stream' },
]
