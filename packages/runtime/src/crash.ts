/**
 * Ends the process as `kill -9` would, at a named place, when PARLEY_CRASH_AT asks for it: `place` or `place:n` for the n-th time.
 * Only processes whose NODE_ENV is `test` listen to it.
 */
const asked = process.env['NODE_ENV'] === 'test' ? process.env['PARLEY_CRASH_AT'] : undefined
const [place, count = '1'] = asked?.split(':') ?? []
let left = Number(count)

export type CrashPlace =
  | 'ingest.before_commit'
  | 'ingest.after_commit'
  | 'relay.after_publish'
  | 'relay.before_mark'
  | 'consumer.after_fetch'
  | 'consumer.after_inbox'
  | 'consumer.before_commit'
  | 'consumer.after_commit'
  | 'job.after_lease'
  | 'job.before_settle'
  | 'effect.after_intent'
  | 'effect.after_call'
  | 'effect.before_record'
  | 'effect.after_record'

export function crashPoint(here: CrashPlace): void {
  if (place === here && --left === 0) process.kill(process.pid, 'SIGKILL')
}
