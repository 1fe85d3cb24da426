import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { runCli } from './cli.ts'
import { moment, phoneNumber } from './commands/options.ts'

const folder = mkdtempSync(join(tmpdir(), 'parley-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function parley(args: string[], environment: NodeJS.ProcessEnv = { PARLEY_HOME: folder }) {
  const out: string[] = []
  const err: string[] = []
  const code = await runCli(args, { out: (line) => out.push(line), err: (line) => err.push(line), environment })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

describe('the command line', () => {
  test('explains itself, with examples, and exits with 0', async () => {
    const help = await parley(['--help'])
    expect(help).toMatchObject({ code: 0, err: '' })
    for (const command of ['start', 'say', 'why', 'receipts', 'dead', 'replay', 'accounts', 'doctor'])
      expect(help.out).toMatch(new RegExp(`^  ${command} `, 'm'))
    expect(help.out).toContain('Examples:')
    expect((await parley(['start', '--help'])).out).toContain('WHAPI_TOKEN')
  })

  test.each([
    [['dance'], "unknown command 'dance'"],
    [['start', '--fast'], "unknown option '--fast'"],
    [['start', '--port', '99999'], 'from 0 to 65535'],
    [['why'], "missing required argument 'id'"],
    [['say', 'Hello', '--from', 'Zoé'], 'phone number'],
    [['replay', '--since', 'yesterday'], 'a moment like'],
    [['replay'], '--since'],
    [['dead', 'list', '--state', 'sad'], 'Allowed choices'],
    [['dead', 'list', '--service', 'none'], 'Allowed choices'],
    [['receipts', 'list', '--limit', '0'], 'from 1 to 100'],
  ])('answers %j with usage on stderr and exit code 2', async (args, words) => {
    const { code, out, err } = await parley(args)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toContain(words)
  })

  test.each([
    [['why', 'an-id']],
    [['accounts', 'rewrap']],
    [['say', 'Hello']],
    [['receipts', 'list']],
    [['dead', 'list']],
    [['replay', '--since', '2h']],
  ])('says in one sentence that nothing runs when asked %j, and exits with 1', async (args) => {
    const { code, err } = await parley(args)
    expect(code).toBe(1)
    expect(err).toMatch(/^parley: .*none does|^parley: No Parley is running here/)
    expect(err).not.toContain('    at ')
  })

  test('names the half that is missing of PARLEY_URL and PARLEY_KEY', async () => {
    expect((await parley(['dead', 'list'], { PARLEY_HOME: folder, PARLEY_URL: 'http://127.0.0.1:1' })).err).toContain(
      'PARLEY_KEY is missing',
    )
  })

  test('says so when the named Parley does not answer', async () => {
    const { code, err } = await parley(['dead', 'list'], { PARLEY_URL: 'http://127.0.0.1:1', PARLEY_KEY: 'key' })
    expect(code).toBe(1)
    expect(err).toContain('does not answer at http://127.0.0.1:1')
  })
})

describe('values', () => {
  test('a moment is ISO 8601 or how long ago', () => {
    const now = Date.parse('2026-05-03T12:00:00Z')
    expect(moment('2h', now)).toBe('2026-05-03T10:00:00.000Z')
    expect(moment('3d', now)).toBe('2026-04-30T12:00:00.000Z')
    expect(moment('2026-05-01T12:00:00+02:00', now)).toBe('2026-05-01T10:00:00.000Z')
    expect(() => moment('5', now)).toThrow('a moment like')
  })

  test('a phone number is its digits', () => {
    expect(phoneNumber('+33 6 12 34 56 78')).toBe('33612345678')
    expect(() => phoneNumber('0612345678')).toThrow('country code')
  })
})
