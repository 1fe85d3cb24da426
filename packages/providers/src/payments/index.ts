export * from './simulator.ts'
export * from './webhook.ts'
