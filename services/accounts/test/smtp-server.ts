import { type AddressInfo, createServer, type Socket } from 'node:net'

export interface SmtpServer {
  url: string
  /** What was taken, as it came. */
  taken: { to: string; data: string }[]
  /** What it says to the next recipients; empty: it takes them. */
  answers: string[]
  close(): Promise<void>
}

/** A mail server that takes everything, or says what it is told to: as much of RFC 5321 as a client needs. */
export async function startSmtpServer(): Promise<SmtpServer> {
  const taken: SmtpServer['taken'] = []
  const answers: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // A client may hang up as it likes.
    socket.on('error', () => socket.destroy())
    let rest = ''
    let to = ''
    let inData = false
    const say = (line: string) => socket.write(`${line}\r\n`)
    say('220 test ESMTP')
    socket.on('data', (bytes) => {
      rest += bytes.toString('latin1')
      for (;;) {
        const end = inData ? rest.indexOf('\r\n.\r\n') : rest.indexOf('\r\n')
        if (end < 0) return
        const piece = rest.slice(0, end)
        rest = rest.slice(end + (inData ? 5 : 2))
        if (inData) {
          inData = false
          taken.push({ to, data: piece })
          say('250 ok')
          continue
        }
        const verb = piece.slice(0, 4).toUpperCase()
        if (verb === 'RCPT') {
          to = /<(.*)>/.exec(piece)?.[1] ?? ''
          say(answers.shift() ?? '250 ok')
        } else if (verb === 'DATA') {
          inData = true
          say('354 go on')
        } else if (verb === 'QUIT') {
          say('221 bye')
          socket.end()
        } else say('250 ok')
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken,
    answers,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
