import { createServer } from 'node:net'

/** The wanted port when it is free, else one of the next twenty, else any; 0 or undefined means any. */
export async function freePort(wanted: number | undefined, host = '127.0.0.1'): Promise<number> {
  const neighbours = wanted ? Array.from({ length: 21 }, (_, i) => wanted + i).filter((port) => port <= 65_535) : []
  for (const candidate of [...neighbours, 0]) {
    const port = await tryPort(candidate, host)
    if (port !== undefined) return port
  }
  throw new Error('The system gives no port.')
}

/** The port when it can be bound now, undefined when it cannot. */
export function tryPort(port: number, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' || error.code === 'EACCES' ? resolve(undefined) : reject(error),
    )
    server.listen(port, host, () => {
      const address = server.address()
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : undefined))
    })
  })
}
