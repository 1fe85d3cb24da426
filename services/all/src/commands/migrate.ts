import { migrate, relayRole, roleOf } from '@parley/runtime'
import type { Command } from 'commander'
import { z } from 'zod'
import type { Context } from '../cli.ts'
import { failure, textOf } from '../failure.ts'
import { allServices } from '../services.ts'

const Passwords = z.record(z.string(), z.string().min(1))

/** What a deployment runs before its services: the same steps that `start` takes by itself. */
export function addMigrate(parley: Command, context: Context): void {
  parley
    .command('migrate')
    .description("Bring a database up to date: every service's schema, roles, row-level security and job queues.")
    .addHelpText(
      'after',
      '\nReads ADMIN_DATABASE_URL (a role that may create roles and schemas) and ROLE_PASSWORDS (JSON, login password by role).\nSafe to run twice, and by two at once.',
    )
    .action(async () => {
      const adminUrl = context.environment['ADMIN_DATABASE_URL']
      if (!adminUrl) throw failure('ADMIN_DATABASE_URL is needed: postgres://… of a role that may create roles and schemas.')
      const passwords = readPasswords(context.environment['ROLE_PASSWORDS'])
      const roles = [relayRole, ...allServices.map((service) => roleOf(service.name))]
      const unknown = Object.keys(passwords).filter((role) => !roles.includes(role))
      if (unknown.length > 0) throw failure(`ROLE_PASSWORDS names ${unknown.join(', ')}; the roles are ${roles.join(', ')}.`)
      try {
        await migrate({ adminUrl, services: allServices, passwords })
      } catch (error) {
        const cause = error instanceof Error && error.cause ? ` ${textOf(error.cause)}` : ''
        throw failure(
          `The database could not be brought up to date. ${textOf(error)}${cause} What ran before stays; run it again.`,
          error,
        )
      }
      const without = roles.filter((role) => passwords[role] === undefined)
      context.out(`The database is up to date: ${allServices.map((service) => service.name).join(', ')}.`)
      if (without.length > 0) context.out(`No password was given for ${without.join(', ')}: what they had, they have.`)
    })
}

function readPasswords(text: string | undefined): Record<string, string> {
  if (text === undefined || text === '') return {}
  try {
    return Passwords.parse(JSON.parse(text))
  } catch (error) {
    throw failure('ROLE_PASSWORDS must be a JSON object of passwords by role.', error)
  }
}
