import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { processStart } from '../src/running.ts'
import { type Here, makeHere } from './here.ts'

const program = join(import.meta.dirname, '..', 'src', 'main.ts')

// Real processes on a machine that may be busy: the limits of what is promised are asserted, not left to this.
vi.setConfig({ testTimeout: 120_000 })

let here: Here
let children: ChildProcess[]
beforeEach(() => {
  here = makeHere()
  children = []
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  await here.remove()
})

/** `parley start` as a real process. */
function start(...args: string[]) {
  const child = spawn(process.execPath, [program, 'start', '--port', '0', ...args], {
    env: here.environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  const words = { out: '', err: '' }
  child.stdout?.on('data', (chunk: Buffer) => (words.out += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (words.err += chunk.toString()))
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  return {
    child,
    words,
    ended,
    up: () => expect.poll(() => words.out + words.err, { timeout: 40_000 }).toContain('Ctrl-C stops everything.'),
  }
}

/** Processes of which `pid` is the parent. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const text = readFileSync(`/proc/${name}/stat`, 'utf8')
        return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]) === pid
      } catch {
        return false // It ended while we looked.
      }
    })
    .map(Number)
}

describe('parley start', () => {
  test('plays the main job, prints its timeline, and ends with exit code 0 on Ctrl-C, leaving no process', async () => {
    const { child, words, ended, up } = start()
    await up()
    expect(words.out).toContain('Customer: Bonjour, où en est ma commande 1042 ?')
    for (const service of ['ingest', 'inbox', 'agents', 'notifier'])
      expect(words.out).toMatch(new RegExp(`^ +\\d+ ms {2}${service} `, 'm'))
    expect(words.out).toMatch(/Answer: {3}\S/)
    expect(words.out).toContain('no keys are set')
    expect(words.out).toContain(`npx parley why `)
    // No secret on the terminal.
    expect(words.out).not.toContain(readFileSync(here.home.keyFile, 'utf8').trim())
    child.kill('SIGINT')
    expect(await ended).toBe(0)
    expect(words.out).toContain('Stopped; nothing is left running')
    expect(words.err).toBe('')
  })

  test('leaves no process of the split shape either, not even after kill -9, and starts again over what was left', async () => {
    const first = start('--split', '--no-demo')
    await first.up()
    const left = childrenOf(first.child.pid ?? 0)
    expect(left).toHaveLength(7)
    first.child.kill('SIGKILL')
    await first.ended
    await expect.poll(() => left.map(processStart).filter(Boolean), { timeout: 20_000 }).toEqual([])

    const second = start('--split')
    await second.up()
    expect(second.words.out).toMatch(/Answer: {3}\S/)
    const pids = childrenOf(second.child.pid ?? 0)
    second.child.kill('SIGINT')
    expect(await second.ended).toBe(0)
    expect(pids.map(processStart).filter(Boolean)).toEqual([])
  })

  test('stops in order when told so while it starts', async () => {
    const { child, words, ended } = start()
    await expect.poll(() => words.out, { timeout: 20_000 }).toContain('Postgres and NATS')
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(words.out).toMatch(/nothing is left running/)
  })

  test('takes the next port when the wanted one is taken, and says so', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const port = (taken.address() as { port: number }).port
    try {
      const { child, words, ended, up } = start('--no-demo', '--port', String(port))
      await up()
      expect(words.out).toMatch(new RegExp(`Port ${port} is taken; this Parley listens on \\d+\\.`))
      child.kill('SIGINT')
      expect(await ended).toBe(0)
    } finally {
      taken.close()
    }
  })

  test('says in one paragraph what is wrong when the database cannot be reached, and exits with 1', async () => {
    here.environment['PARLEY_POSTGRES_ADMIN_URL'] = 'postgres://nobody:nothing@127.0.0.1:1/postgres'
    const { words, ended } = start()
    expect(await ended).toBe(1)
    expect(words.err).toMatch(/^parley: The database parley_h_\w+ cannot be prepared: .*PARLEY_POSTGRES_ADMIN_URL/)
    expect(words.err).not.toMatch(/^ {4}at /m)
  })
})
