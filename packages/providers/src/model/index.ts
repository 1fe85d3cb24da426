export * from './client.ts'
export * from './simulator.ts'
export * from './turn-schema.ts'
