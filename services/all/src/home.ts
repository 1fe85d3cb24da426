import { createKey, keeperName, processName, relayRole, roleOf, StoredKey } from '@parley/runtime'
import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { failure } from './failure.ts'

export const projectFolder = join(import.meta.dirname, '..', '..', '..')

const Port = z.int().min(1).max(65_535)

/** What the first start makes up and every later one needs again. Lost, the database's sealed secrets cannot be opened any more. */
const State = z.object({
  version: z.literal(1),
  organizationId: z.uuid(),
  /** Only the hash: the key itself lies in `key`, for the command line. */
  apiKey: StoredKey,
  sealingKey: z.string().min(1),
  suppressionKey: z.string().min(32),
  /** Login passwords of the database roles. */
  passwords: z.record(z.string(), z.string().min(1)),
  /** Passwords at the embedded broker, by login; homes from before it had logins have none yet. */
  natsPasswords: z.record(z.string(), z.string().min(1)).default({}),
  /** The simulated channel. */
  phone: z.object({ channelId: z.string().min(1), token: z.string().min(1) }),
  /** The doors that ingest opened for channels: address and header are shown once, so they are kept here. */
  sources: z.record(
    z.string(),
    z.object({ id: z.uuid(), path: z.string(), header: z.object({ name: z.string(), value: z.string() }) }),
  ),
  /** The demo organization is in accounts, and an operator has agreed limits with it. False in homes from before accounts. */
  organizationMade: z.boolean().default(false),
  /** Where things listened last time; taken again when free, so that addresses noted elsewhere stay right. */
  ports: z.object({ phone: Port, model: Port }).partial(),
})
export type State = z.infer<typeof State>

/** The folder with everything that one Parley keeps on this machine. */
export interface Home {
  folder: string
  stateFile: string
  keyFile: string
  runningFile: string
  logFile: string
}

/** `--data`, else PARLEY_HOME, else `.parley` in the project. */
export function homeOf(data?: string, environment: NodeJS.ProcessEnv = process.env): Home {
  const folder = resolve(data || environment['PARLEY_HOME'] || join(projectFolder, '.parley'))
  return {
    folder,
    stateFile: join(folder, 'state.json'),
    keyFile: join(folder, 'key'),
    runningFile: join(folder, 'running.json'),
    logFile: join(folder, 'parley.log'),
  }
}

/** The state of this home, made up with fresh secrets the first time. */
export function openState(home: Home, serviceNames: readonly string[]): State {
  mkdirSync(home.folder, { recursive: true })
  const state = existsSync(home.stateFile) ? readState(home) : newState(home)
  // A service that is new since the last start needs a password too.
  for (const role of [relayRole, ...serviceNames.map(roleOf)]) state.passwords[role] ??= secretText(24)
  for (const login of [processName, keeperName, ...serviceNames]) state.natsPasswords[login] ??= secretText(24)
  saveState(home, state)
  return state
}

/** Throws Failure when the file is not what we wrote. */
export function readState(home: Home): State {
  try {
    return State.parse(JSON.parse(readFileSync(home.stateFile, 'utf8')))
  } catch (cause) {
    throw failure(
      `${home.stateFile} cannot be used: it is not a state file of this version. Restore it from a backup, or move ${home.folder} away to start afresh (its data then stays behind).`,
      cause,
    )
  }
}

export function saveState(home: Home, state: State): void {
  writePrivately(home.stateFile, `${JSON.stringify(state, null, 2)}\n`)
}

/** Replaces a file in one step, so that a crash never leaves half of it; only our user may read it. */
export function writePrivately(file: string, content: string): void {
  const unfinished = `${file}.${process.pid}`
  writeFileSync(unfinished, content, { mode: 0o600 })
  chmodSync(unfinished, 0o600)
  renameSync(unfinished, file)
}

function newState(home: Home): State {
  const organizationId = randomUUIDv7()
  const { key, stored } = createKey(organizationId, ['*'])
  writePrivately(home.keyFile, `${key}\n`)
  return {
    version: 1,
    organizationId,
    apiKey: stored,
    sealingKey: randomBytes(32).toString('base64'),
    suppressionKey: secretText(32),
    passwords: {},
    natsPasswords: {},
    phone: { channelId: 'DEMO-PHONE', token: secretText(24) },
    sources: {},
    organizationMade: false,
    ports: {},
  }
}

const secretText = (bytes: number) => randomBytes(bytes).toString('base64url')
