// Completes package-lock.json after `npm install`: a registry mirror that does not carry the optional packages of other platforms
// makes npm leave them out of the lock, and `npm ci` then refuses the lock on every machine. They are entered here by what their
// parents pin, with the checksum that the registry gives: a package without one could be swapped on the way.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const file = join(import.meta.dirname, '..', '..', 'package-lock.json')
const lock = JSON.parse(readFileSync(file, 'utf8'))

/** Where Node would find `name` from the package at `from`, as the lock has it. */
function find(from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    const key = `${at ? `${at}/` : ''}node_modules/${name}`
    if (lock.packages[key]) return key
    if (!at) return undefined
  }
}

const systems = {
  darwin: /darwin|macos/,
  win32: /win32|windows/,
  freebsd: /freebsd/,
  openbsd: /openbsd/,
  netbsd: /netbsd/,
  android: /android/,
  openharmony: /openharmony/,
  sunos: /sunos/,
  aix: /aix/,
  linux: /linux/,
}
const processors = {
  arm64: /arm64|aarch64/,
  x64: /x64|-64$/,
  arm: /arm/,
  ia32: /ia32/,
  ppc64: /ppc64/,
  riscv64: /riscv64/,
  s390x: /s390x/,
  loong64: /loong64/,
  mips64el: /mips64el/,
}
const match = (table, name) => Object.entries(table).find(([, pattern]) => pattern.test(name))?.[0]

let added = 0
for (const [from, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (find(from, name) || !/^\d/.test(version)) continue
    const os = match(systems, name)
    const cpu = match(processors, name)
    if (!os && !cpu) throw new Error(`${name} is optional and missing, and its name tells no platform: enter it by hand.`)
    const libc = /musl/.test(name) ? 'musl' : /gnu/.test(name) ? 'glibc' : undefined
    lock.packages[`node_modules/${name}`] = {
      version,
      ...(entry.dev ? { dev: true } : {}),
      optional: true,
      ...(os ? { os: [os] } : {}),
      ...(cpu ? { cpu: [cpu] } : {}),
      ...(libc ? { libc: [libc] } : {}),
    }
    added++
  }
}
for (const [path, entry] of Object.entries(lock.packages)) {
  if (!path.includes('node_modules/') || entry.link || entry.integrity) continue
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
  const view = execFileSync('npm', ['view', `${name}@${entry.version}`, 'dist.integrity'], { encoding: 'utf8', timeout: 60_000 })
  if (!view.startsWith('sha512-')) throw new Error(`The registry gives no checksum of ${name}@${entry.version}.`)
  entry.integrity = view.trim()
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
console.log(`${added} packages of other platforms entered into package-lock.json.`)
