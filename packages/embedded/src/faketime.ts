import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { unpack, withMirrors } from './debian-package.ts'

const fileName = 'libfaketime.so.1'
const cacheFolder = () => join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'parley', 'faketime')

/** Where Debian and Ubuntu install it, below the folder of the machine's architecture. */
const inLibraries = (root: string) =>
  ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((machine) => join(root, 'usr', 'lib', machine, 'faketime', fileName))

/**
 * Finds or fetches libfaketime, which gives a process another clock, and returns the library's path: PARLEY_FAKETIME_LIB, this system's, our
 * cache, the Debian mirrors this machine already uses. Throws one line that says why there is none. For tests only.
 */
export async function findFaketime(): Promise<string> {
  const given = process.env['PARLEY_FAKETIME_LIB']
  if (given) return given
  const cached = join(cacheFolder(), fileName)
  const known = [...inLibraries('/'), cached].find((path) => existsSync(path))
  if (known !== undefined) return known
  try {
    // The system's own suite: the library must fit its C library.
    return await withMirrors(async (work, archive, own) => keep(await unpack(work, archive, own, 'libfaketime'), cached))
  } catch (cause) {
    throw new Error(`there is no libfaketime (${(cause as Error).message}); install it, or name it in PARLEY_FAKETIME_LIB`, {
      cause,
    })
  }
}

/** The copy appears under its name only when it is whole. */
function keep(unpacked: string, cached: string): string {
  const library = inLibraries(unpacked).find((path) => existsSync(path))
  if (library === undefined) throw new Error(`the package holds only ${readdirSync(unpacked).join(', ')}`)
  mkdirSync(cacheFolder(), { recursive: true })
  const unfinished = `${cached}.${process.pid}`
  copyFileSync(library, unfinished)
  renameSync(unfinished, cached)
  return cached
}
