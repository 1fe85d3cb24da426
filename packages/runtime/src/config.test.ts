import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { ConfigError, flag, number, readConfig, secret, Secret } from './config.ts'

const Config = z.object({
  NATS_URL: z.string().min(1),
  PORT: number(8080, { min: 1, max: 65_535 }),
  VERBOSE: flag(false),
  SIGNING_KEY: secret(8),
})
const good = { NATS_URL: 'nats://broker', SIGNING_KEY: 'long enough' }
const problemsOf = (environment: Record<string, string | undefined>) => {
  try {
    readConfig(Config, environment)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message
  }
  return ''
}

describe('the configuration', () => {
  test('has defaults, numbers and switches', () => {
    expect(readConfig(Config, good)).toMatchObject({ PORT: 8080, VERBOSE: false })
    expect(readConfig(Config, { ...good, PORT: '9000', VERBOSE: 'yes' })).toMatchObject({ PORT: 9000, VERBOSE: true })
  })

  test('tells all its problems at once, by name, and never a value', () => {
    const text = problemsOf({ PORT: '70000', VERBOSE: 'perhaps', SIGNING_KEY: 'hunter2' })
    expect(text).toContain('4 problems')
    for (const name of ['NATS_URL', 'PORT', 'VERBOSE', 'SIGNING_KEY']) expect(text).toContain(`  ${name}: `)
    for (const value of ['70000', 'perhaps', 'hunter2']) expect(text).not.toContain(value)
  })

  test('takes an empty variable for an unset one', () => {
    expect(readConfig(Config, { ...good, PORT: '', VERBOSE: '' })).toMatchObject({ PORT: 8080, VERBOSE: false })
    expect(problemsOf({ ...good, NATS_URL: '' })).toContain('NATS_URL')
  })

  test.each(['abc', '1e9', '-1', 'NaN', 'Infinity'])('refuses %j as a port', (text) => {
    expect(problemsOf({ ...good, PORT: text })).toContain('PORT')
  })
})

describe('a secret', () => {
  const config = readConfig(Config, { ...good, SIGNING_KEY: 'CANARY-secret' })

  test('is told only to those who ask for it', () => {
    expect(config.SIGNING_KEY).toBeInstanceOf(Secret)
    expect(config.SIGNING_KEY.reveal()).toBe('CANARY-secret')
  })

  test.each([
    ['JSON', () => JSON.stringify({ config, nested: [{ config }] })],
    ['util.inspect', () => inspect(config, { depth: 10, showHidden: true })],
    ['a template', () => `${String(config.SIGNING_KEY)}`],
    ['an error message', () => String(new Error(`bad ${String(config.SIGNING_KEY)}`))],
    ['its own fields', () => JSON.stringify([Object.entries(config.SIGNING_KEY), Object.assign({}, config.SIGNING_KEY)])],
    ['a copy', () => inspect(structuredClone(Object.assign({}, config.SIGNING_KEY)))],
  ])('is not shown by %s', (_how, show) => {
    expect(show()).not.toContain('CANARY')
  })
})
