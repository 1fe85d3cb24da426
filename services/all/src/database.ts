import pg from 'pg'
import { failure, textOf } from './failure.ts'

/** Our database's connection string for a superuser, and for a role. */
export interface DatabaseAddress {
  adminUrl: string
  of(role: string): string
}

/** Creates the database when the server has none of that name yet. Throws Failure when the server does not let us. */
export async function ensureDatabase(
  postgresUrl: string,
  name: string,
  passwords: Readonly<Record<string, string>>,
): Promise<DatabaseAddress> {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(name))
    throw failure(`PARLEY_DATABASE: '${name}' cannot name a database; lower-case letters, digits and _ do.`)
  const client = new pg.Client({
    connectionString: postgresUrl,
    connectionTimeoutMillis: 10_000,
    application_name: 'parley-start',
  })
  try {
    await client.connect()
    const known = await client.query('select 1 from pg_database where datname = $1', [name])
    if (known.rowCount === 0) await client.query(`create database ${name}`)
  } catch (cause) {
    throw failure(
      `The database ${name} cannot be prepared: ${textOf(cause)}. The role in PARLEY_POSTGRES_ADMIN_URL must be able to log in, and to create databases and roles.`,
      cause,
    )
  } finally {
    await client.end()
  }
  const address = new URL(postgresUrl)
  address.pathname = `/${name}`
  return {
    adminUrl: address.toString(),
    of(role) {
      const url = new URL(address)
      url.username = role
      url.password = passwords[role] ?? ''
      return url.toString()
    },
  }
}
