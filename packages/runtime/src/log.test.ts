import { describe, expect, test } from 'vitest'
import { openLog } from './log.ts'
import { inSpan, openTelemetry } from './telemetry.ts'

/** The lines that `work` writes, as text. */
function linesOf(work: (log: ReturnType<typeof openLog>) => void): string[] {
  const lines: string[] = []
  work(openLog({ name: 'test', level: 'debug', destination: { write: (line: string) => void lines.push(line) } }))
  return lines
}
const canary = 'CANARY-+49 170 5551234'

describe('a log line', () => {
  test('is one line of JSON whatever is logged: line breaks and terminal codes are escaped (A63)', () => {
    const [line = '', ...more] = linesOf((log) =>
      log.info({ customer: 'a\r\n{"level":60,"msg":"forged"}\u001b[2J\u0000\u2028' }, 'hello\r\nforged\u001b[31m'),
    )
    expect(more).toEqual([])
    expect(line.endsWith('\n')).toBe(true)
    expect(Array.from(line.slice(0, -1)).every((character) => character >= ' ')).toBe(true)
    expect(JSON.parse(line)).toMatchObject({ level: 30, msg: 'hello\r\nforged\u001b[31m' })
  })

  test.each(['authorization', 'token', 'secret', 'password', 'apiKey', 'text', 'phone', 'email', 'body', 'vcard', 'url'])(
    'never shows a field named %s, at any of its first three levels (A63)',
    (field) => {
      const lines = linesOf((log) => {
        log.info({ [field]: canary }, 'top')
        log.warn({ message: { [field]: canary } }, 'nested')
        log.error({ event: { data: { [field]: canary } } }, 'further')
        log.child({ [field]: canary }).info('in a child')
      })
      expect(lines).toHaveLength(4)
      expect(lines.join('')).not.toContain('CANARY')
      expect(lines.join('').match(/\[redacted\]/g)).toHaveLength(4)
    },
  )

  test('shows of an error what helps and not the row it failed on', () => {
    const refused = Object.assign(new Error('duplicate key value violates unique constraint "customers_phone"'), {
      code: '23505',
      constraint: 'customers_phone',
      detail: `Key (phone)=(${canary}) already exists.`,
      where: canary,
      parameters: [canary],
    })
    const [line = ''] = linesOf((log) => log.error({ err: new Error('It could not be saved.', { cause: refused }) }, 'failed'))
    expect(line).not.toContain('CANARY')
    expect(JSON.parse(line).err).toMatchObject({
      type: 'Error',
      message: 'It could not be saved.',
      stack: expect.stringContaining('log.test.ts'),
      cause: { code: '23505', constraint: 'customers_phone' },
    })
  })

  test('cuts a field of 1 MB, and an error’s message, to a few kilobytes (A63)', () => {
    const huge = 'x'.repeat(1_000_000)
    const lines = linesOf((log) => {
      log.info({ subject: huge }, 'big')
      log.error({ err: new Error(huge) }, 'big')
    })
    for (const line of lines) expect(line.length).toBeLessThan(20_000)
    expect(JSON.parse(lines[0] as string).subject).toContain('(1000000 characters)')
  })

  test('survives an error that causes itself', () => {
    const error = new Error('round')
    error.cause = error
    expect(linesOf((log) => log.error({ err: error }, 'failed'))).toHaveLength(1)
  })

  test('carries the trace it belongs to', async () => {
    openTelemetry({ serviceName: 'test', otlpEndpoint: undefined, sampleRatio: 1 })
    const trace = '0af7651916cd43dd8448eb211c80319c'
    let lines: string[] = []
    await inSpan('work', { parent: `00-${trace}-b7ad6b7169203331-01` }, async () => {
      lines = linesOf((log) => log.info('inside'))
    })
    expect(JSON.parse(lines[0] as string)).toMatchObject({ trace_id: trace, span_id: expect.stringMatching(/^[0-9a-f]{16}$/) })
    expect(JSON.parse(linesOf((log) => log.info('outside'))[0] as string)).not.toHaveProperty('trace_id')
  })
})
