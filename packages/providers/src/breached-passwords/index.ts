export { type BreachedPasswords, openBreachedPasswords, type Sighting } from './client.ts'
export { type BreachedPasswordsSimulator, startBreachedPasswordsSimulator } from './simulator.ts'
