import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isAlive, startedAt } from './process.ts'

/**
 * Claims a server's folder for this process, so that two launchers never run one server's data; returns the release.
 * A claim whose process is gone (it was killed) is taken over. A process number can be reused, so its start time counts too.
 */
export function claimFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'launcher')
  const mine = `${process.pid} ${startedAt(process.pid)}\n`
  for (;;) {
    try {
      writeFileSync(file, mine, { flag: 'wx', mode: 0o600 })
      return () => rmSync(file, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const holder = liveHolder(file)
    if (holder !== undefined) throw new Error(`${folder} is in use by process ${holder}: stop that one first.`)
    rmSync(file, { force: true })
  }
}

function liveHolder(file: string): number | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const [pid, ...started] = text.trim().split(' ')
  const holder = Number(pid)
  return holder > 0 && isAlive(holder) && startedAt(holder) === started.join(' ') ? holder : undefined
}
