import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AptSource } from './apt-sources.ts'
import { osReleaseFile, ownSuite, releaseField, unpack, withMirrors } from './debian-package.ts'
import { keepInCache } from './nats-cache.ts'
import { run } from './process.ts'
import { formatVersion, parseVersion } from './version.ts'

/** Fetches nats-server as a package into the cache. Debian 13's 2.10.27 runs on Debian 12, whose own 2.9 is too old. */
export async function fromDebian(cacheFolder: string, log: (line: string) => void): Promise<string> {
  return withMirrors(async (work, archive) => {
    const { own, suite } = chooseSuite(readFileSync(osReleaseFile, 'utf8'))
    log(`Fetching nats-server from this machine's package mirrors (${suite}).`)
    const program = join(await unpackServer(work, archive, own, suite), 'usr', 'sbin', 'nats-server')
    const version = parseVersion(await run(program, ['--version'], { timeoutMs: 10_000 }))
    if (!version) throw new Error('the packaged nats-server does not say its version')
    return keepInCache(program, cacheFolder, formatVersion(version))
  })
}

/** This system's own suite, and the one to fetch from: Debian before 13 has too old a server, the rest use their own. */
export function chooseSuite(osRelease: string): { own: string; suite: string } {
  const field = (name: string) => releaseField(osRelease, name)
  const own = ownSuite(osRelease)
  const isOldDebian = field('ID') === 'debian' && Number(field('VERSION_ID') || Number.POSITIVE_INFINITY) < 13
  return { own, suite: isOldDebian ? 'trixie' : own }
}

async function unpackServer(work: string, archive: AptSource, own: string, suite: string): Promise<string> {
  try {
    return await unpack(join(work, 'server'), archive, suite, 'nats-server')
  } catch (error) {
    // A system older than the suite lacks its signing key. Its own suite, which it trusts, carries the key in a package.
    if (suite === own || !(error instanceof Error) || !/NO_PUBKEY|not signed/.test(error.message)) throw error
    const keys = await unpack(join(work, 'keys'), archive, own, 'debian-archive-keyring')
    const signedBy = join(keys, 'usr', 'share', 'keyrings', 'debian-archive-keyring.gpg')
    return unpack(join(work, 'server-again'), { ...archive, signedBy }, suite, 'nats-server')
  }
}
