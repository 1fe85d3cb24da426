import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fromDebian } from './nats-debian.ts'
import { fromRelease, releaseCommand } from './nats-release.ts'
import { run } from './process.ts'
import { compareVersions, formatVersion, parseVersion, type Version } from './version.ts'

type Log = (line: string) => void

/** Older servers accept `term('reason')` and then deliver the message again, and refuse sync_interval in their settings. */
export const oldestNats: Version = [2, 10, 0]
/** The first patch level that we would choose ourselves; between the two a server works but is worth an upgrade. */
const preferredNats: Version = [2, 10, 23]

/** Where downloaded servers are kept, one folder per version. */
const natsCacheFolder = (): string => join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'parley', 'nats')

/**
 * Finds or fetches a nats-server of at least 2.10 and returns its path. In this order: PARLEY_NATS_BIN, PATH, our cache, the
 * official release (its SHA-256 is pinned; skipped under PARLEY_OFFLINE=1), the Debian mirrors this machine already uses.
 */
export async function findNatsServer(options: { log?: Log | undefined } = {}): Promise<string> {
  const log = options.log ?? (() => undefined)
  const given = process.env['PARLEY_NATS_BIN']
  if (given) {
    await checkNatsVersion(given, log)
    return given
  }
  const tried: string[] = []
  for (const [place, find] of Object.entries({
    PATH: () => onPath(log),
    cache: () => inCache(log),
    'official release': () => fromRelease(natsCacheFolder(), log),
    'Debian packages': () => fromDebian(natsCacheFolder(), log),
  })) {
    try {
      const path = await find()
      await checkNatsVersion(path, log)
      return path
    } catch (error) {
      tried.push(`  ${place}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new Error(`There is no nats-server ${formatVersion(oldestNats)} or newer. Tried:\n${tried.join('\n')}\n${remedy()}`)
}

/** Asks the program for its version; throws one line that says what to do when it is too old or is no nats-server. */
export async function checkNatsVersion(path: string, log: Log = () => undefined): Promise<Version> {
  const version = parseVersion(await run(path, ['--version'], { timeoutMs: 10_000 }))
  if (!version) throw new Error(`${path} does not say its version, so it is not a nats-server. ${remedy()}`)
  if (compareVersions(version, oldestNats) < 0) {
    throw new Error(`${path} is nats-server ${formatVersion(version)}, which is too old. ${remedy()}`)
  }
  if (compareVersions(version, preferredNats) < 0) {
    log(`${path} is nats-server ${formatVersion(version)}; ${formatVersion(preferredNats)} or newer is better.`)
  }
  return version
}

/** One command for this system, then the variable that names its result. */
function remedy(): string {
  const command = process.platform === 'darwin' ? 'brew install nats-server' : releaseCommand()
  return `Get ${formatVersion(preferredNats)} or newer with \`${command}\`, or name yours in PARLEY_NATS_BIN.`
}

async function onPath(log: Log): Promise<string> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, 'nats-server')
    if (!folder || !isProgram(path)) continue
    await checkNatsVersion(path, log)
    return path
  }
  throw new Error('no nats-server')
}

async function inCache(log: Log): Promise<string> {
  const folder = natsCacheFolder()
  if (!existsSync(folder)) throw new Error(`nothing in ${folder}`)
  const found: { path: string; version: Version }[] = []
  for (const name of readdirSync(folder)) {
    const version = parseVersion(name)
    const path = join(folder, name, 'nats-server')
    if (version && isProgram(path)) found.push({ path, version })
  }
  const [newest] = found.sort((a, b) => compareVersions(b.version, a.version))
  if (!newest) throw new Error(`nothing in ${folder}`)
  await checkNatsVersion(newest.path, log)
  return newest.path
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
