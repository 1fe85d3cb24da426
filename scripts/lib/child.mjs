// Loaded before every program that the launcher runs: the launcher's death closes the channel, and then we stop in order.
import process from 'node:process'

if (process.channel) {
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  process.channel.unref() // The channel alone must not keep a finished program alive.
}
delete process.env.NODE_CHANNEL_FD
