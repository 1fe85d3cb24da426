import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { onTestFinished } from 'vitest'
import { commandLine, isAlive, waitUntil, workingFolder } from '../src/process.ts'

/** A folder that is deleted after the test; whatever still runs in it then fails the test. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'parley-embedded-'))
  chmodSync(folder, 0o755) // As a project's folder is; one test closes it.
  onTestFinished(() => {
    const left = processesIn(folder)
    for (const pid of left) process.kill(pid, 'SIGKILL')
    rmSync(folder, { recursive: true, force: true })
    if (left.length > 0) throw new Error(`Left running: ${left.join(', ')}`)
  })
  return folder
}

/** All processes that work in a folder or name it on their command line, but for this one. */
export function processesIn(folder: string): number[] {
  return listProcesses().filter((pid) => {
    if (pid === process.pid || !isAlive(pid)) return false
    return workingFolder(pid)?.startsWith(folder) || commandLine(pid)?.includes(folder)
  })
}

function listProcesses(): number[] {
  if (process.platform === 'linux')
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0)
  return execFileSync('ps', ['-axo', 'pid='], { encoding: 'utf8' }).trim().split(/\s+/).map(Number)
}

export async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

/** Starts both servers from a process of their own and returns it, with what it reported. */
export async function launchElsewhere(folder: string) {
  const launcher = spawn(process.execPath, [join(import.meta.dirname, 'launcher.ts'), folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface(launcher.stdout)) {
    const report = JSON.parse(line) as { postgres: { pid: number; url: string }; nats: { pid: number; url: string } }
    return { launcher, ...report }
  }
  throw new Error('The launcher ended without a report.')
}

export async function killNow(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL')
  if (!(await waitUntil(() => !isAlive(pid), 5_000))) throw new Error(`Process ${pid} survived SIGKILL.`)
}

/** One JetStream request in the plain NATS protocol, so that these tests need no client library. */
export async function jetStream(port: number, subject: string, payload: string): Promise<Record<string, unknown>> {
  const socket = createConnection({ host: '127.0.0.1', port })
  socket.setTimeout(5_000, () => socket.destroy(new Error(`no answer to ${subject}`)))
  socket.write(`CONNECT {"verbose":false}\r\nSUB inbox 1\r\nPUB ${subject} inbox ${Buffer.byteLength(payload)}\r\n${payload}\r\n`)
  try {
    let received = ''
    for await (const chunk of socket) {
      received += String(chunk)
      const answer = /MSG inbox 1 \d+\r\n([^\r]*)\r\n/.exec(received)?.[1]
      if (answer) return JSON.parse(answer) as Record<string, unknown>
    }
    throw new Error(`The connection closed before ${subject} was answered: ${received}`)
  } finally {
    socket.destroy()
  }
}
