export * from './client.ts'
export * from './simulator.ts'
export * from './webhook.ts'
