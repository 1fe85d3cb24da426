import { ContractError } from '@parley/contracts'
import { describe as group, expect, test } from 'vitest'
import { z } from 'zod'
import { AppError, BrokerAway, classify, describe, errorStatus, LeaseLost, Permanent, RetryLater } from './errors.ts'

const coded = (code: string, message = 'x') => Object.assign(new Error(message), { code })

group('an error', () => {
  test.each([
    ['Postgres shuts down', coded('57P01'), 'outage'],
    ['Postgres crashed', coded('57P02'), 'outage'],
    ['Postgres starts', coded('57P03'), 'outage'],
    ['Postgres has no connection left', coded('53300'), 'outage'],
    ['the disk is full', coded('53100'), 'outage'],
    ['the server became a replica', coded('25006'), 'outage'],
    ['the connection failed', coded('08006'), 'outage'],
    ['nobody listens', coded('ECONNREFUSED'), 'outage'],
    ['the socket was reset', coded('ECONNRESET'), 'outage'],
    ['the name does not resolve', coded('EAI_AGAIN'), 'outage'],
    ['the backend was lost, without a code', new Error('Connection terminated unexpectedly'), 'outage'],
    ['the pool is full, without a code', new Error('timeout exceeded when trying to connect'), 'outage'],
    ['the server no longer answers, without a code', new Error('Query read timeout'), 'outage'],
    ['two transactions met', coded('40001'), 'contention'],
    ['two transactions waited for each other', coded('40P01'), 'contention'],
    ['a lock took too long', coded('55P03'), 'contention'],
    ['a statement took too long', coded('57014'), 'contention'],
    ['the broker is away', new BrokerAway('away'), 'outage'],
    ['a part of the system does not answer', new AppError('unavailable', 'away'), 'outage'],
    ['an index cannot hold the value', coded('54000'), 'permanent'],
    ['a migration overtook a prepared statement', coded('0A000', 'cached plan must not change result type'), 'contention'],
    ['Postgres cannot do that', coded('0A000', 'cross-database references are not implemented'), 'bug'],
    ['it asks for a later try', new RetryLater('later'), 'retry'],
    ['no try will help', new Permanent('never'), 'permanent'],
    ['the contract refuses it', new ContractError('wrong'), 'permanent'],
    ['the schema refuses it', z.string().safeParse(5).error, 'permanent'],
    ['the text cannot be stored', coded('22021'), 'permanent'],
    ['the number is out of range', coded('22003'), 'permanent'],
    ['a unique row exists', coded('23505'), 'bug'],
    ['row-level security refuses', coded('42501'), 'bug'],
    ['the code is wrong', new TypeError('x is undefined'), 'bug'],
    ['somebody threw a string', 'no', 'bug'],
    ['somebody threw nothing', undefined, 'bug'],
    ['a caller was refused', new AppError('invalid', 'no'), 'bug'],
    ['the lease is lost', new LeaseLost('gone'), 'bug'],
  ] as [string, unknown, string][])('because %s is classed rightly', (_why, error, kind) => {
    expect(classify(error)).toBe(kind)
  })

  test('that asks for a later try because the database was away is still only a later try', () => {
    expect(classify(new RetryLater('later', { cause: coded('57P01') }))).toBe('retry')
  })

  test('is described by name, code and message, whatever was thrown', () => {
    expect(describe(coded('23505', 'twice'))).toEqual({ name: 'Error', code: '23505', message: 'twice' })
    expect(describe(Object.assign(new Error('odd'), { code: 5 }))).toEqual({ name: 'Error', code: undefined, message: 'odd' })
    expect(describe(null)).toEqual({ name: 'Thrown', code: undefined, message: 'null' })
  })

  test('for a caller has a status of its own kind', () => {
    for (const [code, status] of Object.entries(errorStatus)) expect([code, status >= 400 && status < 600]).toEqual([code, true])
    expect(new Set(Object.values(errorStatus)).size).toBe(Object.keys(errorStatus).length)
  })
})
