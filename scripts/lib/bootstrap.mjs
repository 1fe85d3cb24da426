// Plain JavaScript that runs on an old Node and without node_modules: it brings both about and then gets out of the way.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** crypto.randomUUIDv7 arrived in this version; type stripping is on by default well before. */
const oldestNode = [24, 16, 0]

/** Installs what package-lock.json says when node_modules is missing or says something else. Ends the process on failure. */
export function ensureDependencies() {
  if (isInstalled()) return
  const started = Date.now()
  process.stderr.write('Installing dependencies (once, about a minute)… ')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund']
  const result = spawnSync(npm, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  if (result.status === 0) {
    process.stderr.write(`done in ${Math.round((Date.now() - started) / 1000)} s.\n`)
    return
  }
  process.stderr.write(`failed.\n${result.error ? result.error.message : `${result.stdout}${result.stderr}`}\n`)
  process.stderr.write(`\`npm ${args.join(' ')}\` must succeed in ${root} first.\n`)
  process.exit(1)
}

/** npm writes node_modules/.package-lock.json last, so an interrupted install has none and a stale one tells other versions. */
function isInstalled() {
  const wanted = readPackages(join(root, 'package-lock.json'))
  const present = readPackages(join(root, 'node_modules', '.package-lock.json'))
  if (!wanted || !present) return false
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue
    const installed = present[path]
    if (!installed && !entry.optional && !entry.devOptional) return false
    if (installed && (installed.version !== entry.version || installed.integrity !== entry.integrity)) return false
  }
  return true
}

function readPackages(file) {
  if (!existsSync(file)) return undefined
  return JSON.parse(readFileSync(file, 'utf8')).packages
}

/** The Node to run Parley with: this one if it is new enough, else the pinned one from node_modules. Ends the process without. */
function findNode() {
  if (isNewEnough(process.versions.node)) return process.execPath
  const name = `node-${process.platform}-${process.arch}`
  const pinned = join(root, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  const found = existsSync(pinned) ? spawnSync(pinned, ['--version'], { encoding: 'utf8' }) : undefined
  if (found && found.status === 0 && isNewEnough(found.stdout.trim().slice(1))) return pinned
  process.stderr.write(
    `Parley needs Node ${oldestNode.join('.')} or newer; this is ${process.versions.node}, and npm installed no ${name} that runs here: install Node 24.\n`,
  )
  process.exit(1)
}

/** Compares dotted versions by number, not by text: 24.9 is older than 24.16. */
export function isNewEnough(version) {
  const numbers = version.split('.').map(Number)
  for (let i = 0; i < oldestNode.length; i++) {
    if (numbers[i] !== oldestNode[i]) return numbers[i] > oldestNode[i]
  }
  return true
}

/**
 * Runs a program of this project with the right Node and ends as it ends.
 *
 * It runs in a session of its own and hears only what is passed on here. In the terminal's group, Ctrl-C would reach it
 * there and again through us, and `npm start` adds a third: a program that takes the second one as "now!" would never stop
 * in order. If we are killed, it notices by its closed channel (see child.mjs) and stops as well.
 */
export function runProgram(file, args, { cwd = process.cwd() } = {}) {
  const node = findNode()
  const program = join(root, file)
  if (!existsSync(program)) {
    process.stderr.write(`${file} does not exist.\n`)
    process.exit(1)
  }
  const path = [dirname(node), join(root, 'node_modules', '.bin'), process.env.PATH].filter(Boolean).join(delimiter)
  const preload = join(root, 'scripts', 'lib', 'child.mjs')
  const child = spawn(node, ['--import', preload, program, ...args], {
    cwd,
    detached: process.platform !== 'win32',
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, PATH: path },
  })
  const sameSignalMs = 1_000
  const lastPassedOn = new Map()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      const now = performance.now()
      if (now - (lastPassedOn.get(signal) ?? -Infinity) < sameSignalMs) return
      lastPassedOn.set(signal, now)
      child.kill(signal)
    })
  }
  child.on('error', (error) => {
    process.stderr.write(`${node} does not start: ${error.message}\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    process.exit(code ?? 128 + (signalNumbers[signal] ?? 0))
  })
}

const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 }
