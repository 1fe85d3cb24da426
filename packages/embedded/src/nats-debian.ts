import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AptSource, readAptSources } from './apt-sources.ts'
import { keepInCache } from './nats-cache.ts'
import { run } from './process.ts'
import { formatVersion, parseVersion } from './version.ts'

const aptTimeoutMs = 60_000

/**
 * Fetches nats-server as a package through the mirrors that this machine already uses, into the cache, without root and
 * without touching the system: apt works on private folders, and the package is unpacked, never installed.
 * apt checks the archive's signature as always. Debian 13's 2.10.27 runs on Debian 12, whose own 2.9 is too old.
 */
export async function fromDebian(cacheFolder: string, log: (line: string) => void): Promise<string> {
  if (process.platform !== 'linux') throw new Error('this is not Linux')
  const { own, suite } = chooseSuite(readFileSync('/etc/os-release', 'utf8'))
  const archives = readAptSources().filter(({ suites, components }) => suites.includes(own) && components.includes('main'))
  if (archives.length === 0) throw new Error(`apt names no archive with the suite ${own}`)
  log(`Fetching nats-server from this machine's package mirrors (${suite}).`)

  const failures: string[] = []
  for (const archive of archives) {
    const work = mkdtempSync(join(tmpdir(), 'parley-apt-'))
    try {
      const program = join(await unpackServer(work, archive, own, suite), 'usr', 'sbin', 'nats-server')
      const version = parseVersion(await run(program, ['--version'], { timeoutMs: 10_000 }))
      if (!version) throw new Error('the packaged nats-server does not say its version')
      return keepInCache(program, cacheFolder, formatVersion(version))
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  }
  throw new Error(failures.join('; '))
}

/** This system's own suite, and the one to fetch from: Debian before 13 has too old a server, the rest use their own. */
export function chooseSuite(osRelease: string): { own: string; suite: string } {
  const field = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(osRelease)?.[1] ?? ''
  const own = field('VERSION_CODENAME') || 'sid'
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

/** Downloads and unpacks one package of one suite with an apt of its own in the folder; returns where it was unpacked. */
async function unpack(folder: string, archive: AptSource, suite: string, name: string): Promise<string> {
  for (const needed of ['sources', 'lists/partial', 'cache/archives/partial', 'download']) {
    mkdirSync(join(folder, needed), { recursive: true })
  }
  writeFileSync(join(folder, 'status'), '')
  const components = archive.components.filter((component) => component === 'main' || component === 'universe').join(' ')
  const fields = ['Types: deb', `URIs: ${archive.uri}`, `Suites: ${suite}`, `Components: ${components}`]
  if (archive.signedBy) fields.push(`Signed-By: ${archive.signedBy}`)
  writeFileSync(join(folder, 'sources', 'parley.sources'), `${fields.join('\n')}\n`)

  const settings = {
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(folder, 'sources'),
    'Dir::State': folder,
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'Acquire::Languages': 'none',
    'Acquire::Retries': '1',
    'Acquire::http::Timeout': '15',
    'Acquire::https::Timeout': '15',
    'APT::Update::Error-Mode': 'any',
    'APT::Sandbox::User': 'root', // The private folders are closed to apt's own download user.
  }
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  const how = { cwd: join(folder, 'download'), env: { ...process.env, LC_ALL: 'C' }, timeoutMs: aptTimeoutMs }
  await run('apt-get', [...options, 'update'], how)
  await run('apt-get', [...options, 'download', name], how)
  const [file] = readdirSync(how.cwd)
  if (!file) throw new Error(`apt-get downloaded no ${name}`)
  const unpacked = join(folder, 'unpacked')
  await run('dpkg-deb', ['-x', file, unpacked], how)
  return unpacked
}
