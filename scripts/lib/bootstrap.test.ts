import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isNewEnough, root } from './bootstrap.mjs'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley-bootstrap-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** Runs a program through runProgram in a process of its own, as parley.mjs does. */
function launch(program: string): ChildProcess & { lines: AsyncIterator<string> } {
  const file = join(folder, 'program.mjs')
  writeFileSync(file, program)
  const bootstrap = JSON.stringify(join(import.meta.dirname, 'bootstrap.mjs'))
  const main = `import(${bootstrap}).then((b) => b.runProgram(${JSON.stringify(relative(root, file))}, ['one', 'two']))`
  const child = spawn(process.execPath, ['-e', main], { stdio: ['ignore', 'pipe', 'inherit'], detached: true, cwd: folder })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  return Object.assign(child, { lines })
}

const ended = (child: ChildProcess) => new Promise<number | null>((resolve) => child.once('exit', resolve))

test('versions of Node are compared by number', () => {
  expect(['24.16.0', '24.21.0', '26.0.0'].map(isNewEnough)).toEqual([true, true, true])
  expect(['20.20.2', '24.9.0', '24.15.9'].map(isNewEnough)).toEqual([false, false, false])
})

test('a program gets its arguments, the folder it was called from, the right Node first on its PATH, and its exit code is passed on', async () => {
  const child = launch(`
    console.log(JSON.stringify([process.argv.slice(2), process.cwd(), process.env.PATH.split(':').slice(0, 2)]))
    process.exitCode = 7`)
  const end = ended(child)
  const [args, cwd, path] = JSON.parse((await child.lines.next()).value)
  expect(args).toEqual(['one', 'two'])
  expect(cwd).toBe(folder)
  expect(path).toEqual([join(process.execPath, '..'), join(root, 'node_modules', '.bin')])
  expect(await end).toBe(7)
})

const counting = `
  let heard = 0
  process.on('SIGINT', () => { heard++; setTimeout(() => { console.log('heard ' + heard); process.exit(3) }, 300) })
  setInterval(() => {}, 1000)
  console.log('ready')`

test('Ctrl-C, which reaches the whole group and comes again from npm, stops the program exactly once', async () => {
  const child = launch(counting)
  const end = ended(child)
  expect((await child.lines.next()).value).toBe('ready')
  process.kill(-(child.pid ?? 0), 'SIGINT') // As the terminal does…
  process.kill(child.pid ?? 0, 'SIGINT') // …and as npm passes on.
  expect((await child.lines.next()).value).toBe('heard 1')
  expect(await end).toBe(3)
})

test('a program whose launcher was killed is asked to stop', async () => {
  const child = launch(`
    process.on('SIGTERM', () => { console.log('stopping'); process.exit(0) })
    setInterval(() => {}, 1000)
    console.log('ready')`)
  expect((await child.lines.next()).value).toBe('ready')
  child.kill('SIGKILL')
  expect((await child.lines.next()).value).toBe('stopping')
})
