import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { canReach } from './postgres-files.ts'
import { type Identity, run } from './process.ts'

export const superuser = 'parley_admin'

/** Postgres reads PG* variables and the locale from its surroundings; it gets none of ours. */
export const serverEnvironment = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' })

/**
 * Returns the superuser's password of the cluster in folder/data, creating the cluster the first time.
 * It is built beside its final name, so that an interrupted initdb is never mistaken for a cluster.
 */
export async function ensureCluster(folder: string, programs: string, identity: Identity | undefined): Promise<string> {
  const passwordFile = join(folder, 'password')
  const data = join(folder, 'data')
  if (existsSync(data)) {
    if (!existsSync(passwordFile)) throw new Error(`${passwordFile} is missing: restore it, or delete ${folder} to start empty.`)
    return readFileSync(passwordFile, 'utf8').trim()
  }
  const password = randomBytes(24).toString('base64url')
  rmSync(passwordFile, { force: true })
  writeFileSync(passwordFile, password, { mode: 0o600 })

  const unfinished = `${data}.new`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { mode: 0o700 })
  const handover = mkdtempSync(join(tmpdir(), 'parley-initdb-'))
  try {
    // The server's user may not read our password file, so it gets a copy for the moment of initdb.
    const passwordCopy = join(handover, 'password')
    writeFileSync(passwordCopy, password, { mode: 0o600 })
    if (identity) for (const path of [unfinished, handover, passwordCopy]) chownSync(path, identity.uid, identity.gid)
    const args = ['-D', await dataPath(unfinished, identity), '-U', superuser, `--pwfile=${passwordCopy}`, '-A', 'scram-sha-256']
    args.push('-E', 'UTF8', '--locale=C', '--no-instructions')
    const options = { identity, cwd: unfinished, env: serverEnvironment(), timeoutMs: 60_000 }
    await run(join(programs, 'bin', 'initdb'), args, options)
  } finally {
    rmSync(handover, { recursive: true, force: true })
  }
  renameSync(unfinished, data)
  return password
}

/**
 * How the server is told where its data is. Under a parent folder of mode 0700 (a clone in root's home) the server's
 * user cannot walk the path; but a process that starts inside a folder may stay there, and /proc/self/cwd leads to it
 * without a walk. So the data stays in the project instead of moving to a place that the next `rm -r` forgets.
 */
export async function dataPath(data: string, identity: Identity | undefined): Promise<string> {
  if (!identity || (await canReach(data, identity))) return data
  if (process.platform === 'linux') return '/proc/self/cwd'
  throw new Error(`Postgres refuses to run as root, and no other user can reach ${data}: run Parley as a normal user.`)
}
