import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AptSource, readAptSources } from './apt-sources.ts'
import { run } from './process.ts'

const aptTimeoutMs = 60_000
export const osReleaseFile = '/etc/os-release'

/** A field of os-release(5), '' when it has none. */
export const releaseField = (osRelease: string, name: string) =>
  new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(osRelease)?.[1] ?? ''

/** The suite that this system's own packages come from. */
export const ownSuite = (osRelease: string) => releaseField(osRelease, 'VERSION_CODENAME') || 'sid'

/**
 * Hands over a folder of its own and each archive that this machine's apt already uses for its own suite, one after the other, until
 * one gives a result. For `unpack`: without root and without touching the system.
 */
export async function withMirrors<T>(use: (work: string, archive: AptSource, own: string) => Promise<T>): Promise<T> {
  if (process.platform !== 'linux') throw new Error('this is not Linux')
  const own = ownSuite(readFileSync(osReleaseFile, 'utf8'))
  const archives = readAptSources().filter(({ suites, components }) => suites.includes(own) && components.includes('main'))
  if (archives.length === 0) throw new Error(`apt names no archive with the suite ${own}`)
  const failures: string[] = []
  for (const archive of archives) {
    const work = mkdtempSync(join(tmpdir(), 'parley-apt-'))
    try {
      return await use(work, archive, own)
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  }
  throw new Error(failures.join('; '))
}

/**
 * Downloads one package of one suite with an apt of its own in the folder, and unpacks it, never installs it; returns where. apt checks
 * the archive's signature as always.
 */
export async function unpack(folder: string, archive: AptSource, suite: string, name: string): Promise<string> {
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
