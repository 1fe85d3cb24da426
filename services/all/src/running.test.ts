import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Home, homeOf, openState, readState } from './home.ts'
import { claimHome, findRunning, processStart } from './running.ts'

let home: Home
beforeEach(() => {
  home = homeOf(mkdtempSync(join(tmpdir(), 'parley-home-')))
})
afterEach(() => rmSync(home.folder, { recursive: true }))

const facts = {
  ready: true,
  shape: 'one process' as const,
  url: 'http://127.0.0.1:8080',
  adminUrls: [],
  control: null,
  postgresUrl: '',
  natsUrl: '',
  natsMonitoringUrl: null,
}

describe('a home', () => {
  test('has one Parley at a time, and a second one hears where the first is', () => {
    const claim = claimHome(home)
    claim.update(facts)
    expect(() => claimHome(home)).toThrow(`running already at ${facts.url}, process ${process.pid}`)
    claim.release()
    claimHome(home).release()
  })

  test('is taken over from a process that was killed', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    await once(child, 'spawn')
    const pid = child.pid as number
    writeFileSync(home.runningFile, JSON.stringify({ pid, startedAt: processStart(pid), ...facts }))
    expect(() => claimHome(home)).toThrow('running already')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(findRunning(home)).toBeUndefined()
    claimHome(home).release()
  })

  test('is taken over when the process number belongs to another process now', () => {
    writeFileSync(home.runningFile, JSON.stringify({ pid: process.pid, startedAt: 'another time', ...facts }))
    claimHome(home).release()
  })

  test('is taken over from a claim that was cut off in the middle', () => {
    writeFileSync(home.runningFile, '{"pid": 1')
    claimHome(home).release()
  })

  test('keeps its secrets for its own user, and keeps them the same', () => {
    const state = openState(home, ['ingest'])
    for (const file of [home.stateFile, home.keyFile]) expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(openState(home, ['ingest', 'inbox'])).toMatchObject({ sealingKey: state.sealingKey, apiKey: state.apiKey })
    const key = readFileSync(home.keyFile, 'utf8').trim()
    expect(readFileSync(home.stateFile, 'utf8')).not.toContain(key)
  })

  test('says what to do when its state file is damaged', () => {
    writeFileSync(home.stateFile, '{}')
    expect(() => readState(home)).toThrow('Restore it from a backup')
  })
})
