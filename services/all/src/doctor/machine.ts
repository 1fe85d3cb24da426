import { checkNatsVersion, findNatsServer, formatVersion, startNats, startPostgres } from '@parley/embedded'
import { accessSync, constants, existsSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Home, projectFolder, readState } from '../home.ts'
import { tryPort } from '../ports.ts'
import type { Running } from '../running.ts'
import { check, type Finding, Skip } from './finding.ts'

const oldestNode = [24, 16]
const leastFreeBytes = 1024 ** 3
const usualPort = 8_080

/** What a start on this machine needs. Starts the embedded servers for a moment when none of ours are running. */
export async function machineFindings(
  home: Home,
  environment: NodeJS.ProcessEnv,
  running: Running | undefined,
): Promise<Finding[]> {
  const given = Boolean(environment['PARLEY_POSTGRES_ADMIN_URL'] && environment['PARLEY_NATS_URL'])
  return [
    await check(
      'Node',
      `Install Node ${oldestNode.join('.')} or newer, or start through \`npm start\`, which brings its own.`,
      nodeVersion,
    ),
    await check('installation', 'Run `npm ci --ignore-scripts` in the project.', installation),
    await check('disk space', `Free some space under ${home.folder}, or put the data elsewhere with --data.`, () =>
      diskSpace(home),
    ),
    await check(
      'state folder',
      `Give it back to your user, readable by nobody else: chmod 600 ${home.stateFile} ${home.keyFile}`,
      () => stateFolder(home),
    ),
    await check('port', `\`parley start --port <n>\` takes another one; without it the next free one is used.`, () =>
      portFree(running),
    ),
    await check(
      'nats-server',
      'Set PARLEY_NATS_BIN to a nats-server of 2.10 or newer, or let this machine reach the release page or a Debian mirror.',
      () => natsServer(given),
    ),
    await check(
      'embedded servers',
      `Read the last lines of the server's log above; PARLEY_POSTGRES_ADMIN_URL and PARLEY_NATS_URL use servers of your own instead.`,
      () => embeddedStart(home, given, running),
    ),
  ]
}

function nodeVersion(): string {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [needMajor = 0, needMinor = 0] = oldestNode
  if (major < needMajor || (major === needMajor && minor < needMinor)) throw new Error(`this is ${process.versions.node}`)
  return process.versions.node
}

function installation(): string {
  const installed = join(projectFolder, 'node_modules', '.package-lock.json')
  if (!existsSync(installed)) throw new Error('node_modules is missing or half installed')
  const lock = join(projectFolder, 'package-lock.json')
  if (existsSync(lock) && statSync(lock).mtimeMs > statSync(installed).mtimeMs + 60_000) {
    return 'complete; package-lock.json is newer, the launcher compares them at start'
  }
  return 'complete'
}

async function diskSpace(home: Home): Promise<string> {
  let folder = home.folder
  while (!existsSync(folder)) folder = dirname(folder)
  const { bavail, bsize } = await statfs(folder)
  const gigabytes = `${((bavail * bsize) / 1024 ** 3).toFixed(1)} GiB free`
  if (bavail * bsize < leastFreeBytes) throw new Error(gigabytes)
  return gigabytes
}

function stateFolder(home: Home): string {
  if (!existsSync(home.stateFile)) throw new Skip('nothing was started here yet')
  accessSync(home.folder, constants.W_OK)
  readState(home)
  for (const file of [home.stateFile, home.keyFile]) {
    if (!existsSync(file)) throw new Error(`${file} is missing`)
    const mode = statSync(file).mode & 0o777
    if ((mode & 0o077) !== 0) throw new Error(`${file} can be read by others (mode ${mode.toString(8)})`)
  }
  return home.folder
}

async function portFree(running: Running | undefined): Promise<string> {
  if (running?.url) return `${running.url} is ours`
  if ((await tryPort(usualPort, '127.0.0.1')) === undefined) throw new Error(`${usualPort} is taken`)
  return `${usualPort} is free`
}

async function natsServer(given: boolean): Promise<string> {
  if (given) throw new Skip('PARLEY_NATS_URL names a server')
  const path = await findNatsServer()
  return `${formatVersion(await checkNatsVersion(path))} at ${path}`
}

async function embeddedStart(home: Home, given: boolean, running: Running | undefined): Promise<string> {
  if (given) throw new Skip('servers of your own are named')
  if (running) throw new Skip('ours are running')
  const folder = join(home.folder, `doctor-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  const began = performance.now()
  try {
    const postgres = await startPostgres({ dataFolder: join(folder, 'pg') })
    try {
      const nats = await startNats({ storeFolder: join(folder, 'nats') })
      await nats.stop()
    } finally {
      await postgres.stop()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return `Postgres and NATS started and stopped in ${((performance.now() - began) / 1_000).toFixed(1)} s`
}
