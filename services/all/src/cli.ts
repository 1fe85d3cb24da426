import { Command, CommanderError } from 'commander'
import { addAccounts } from './commands/accounts.ts'
import { addAudit } from './commands/audit.ts'
import { addDead } from './commands/dead.ts'
import { addDoctor } from './commands/doctor.ts'
import { addKeep } from './commands/keep.ts'
import { addMail } from './commands/mail.ts'
import { addMigrate } from './commands/migrate.ts'
import { addReceipts } from './commands/receipts.ts'
import { addReplay } from './commands/replay.ts'
import { addSay } from './commands/say.ts'
import { addStart } from './commands/start.ts'
import { addWhy } from './commands/why.ts'
import { Failure } from './failure.ts'

/** Where a command's words go, and what it knows of the outside. */
export interface Terminal {
  out(line: string): void
  err(line: string): void
  environment: NodeJS.ProcessEnv
}

/** Set by a command that did its work and has bad news: `doctor` found something, `say` got no answer. */
interface Outcome {
  exitCode: number
}

export type Context = Terminal & { outcome: Outcome }

const usageError = 2

const processTerminal: Terminal = {
  out: (line) => process.stdout.write(`${line}\n`),
  err: (line) => process.stderr.write(`${line}\n`),
  environment: process.env,
}

/** Runs one command line and resolves with its exit code: 0, 1 for a failure told in a sentence, 2 for a wrong command line. */
export async function runCli(args: readonly string[], terminal: Terminal = processTerminal): Promise<number> {
  const context: Context = { ...terminal, outcome: { exitCode: 0 } }
  try {
    await program(context).parseAsync([...args], { from: 'user' })
    return context.outcome.exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageError
    if (error instanceof Failure) {
      terminal.err(`parley: ${error.message}`)
      return 1
    }
    // Our own bug: the stack is what helps.
    terminal.err(`parley: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    return 1
  }
}

function program(context: Context): Command {
  const parley = new Command('parley')
    .description('The back office for conversational commerce, on this machine.')
    .usage('<command> [options]')
    .exitOverride()
    .showHelpAfterError('(`parley --help` shows what there is)')
    .configureOutput({
      writeOut: (text) => context.out(text.trimEnd()),
      writeErr: (text) => context.err(text.trimEnd()),
    })
    .addHelpText('after', examples)
  addStart(parley, context)
  addSay(parley, context)
  addWhy(parley, context)
  addReceipts(parley, context)
  addDead(parley, context)
  addReplay(parley, context)
  addAccounts(parley, context)
  addAudit(parley, context)
  addDoctor(parley, context)
  addMail(parley, context)
  addMigrate(parley, context)
  addKeep(parley, context)
  for (const command of withChildren(parley)) command.copyInheritedSettings(parley)
  return parley
}

function withChildren(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...withChildren(child)])
}

const examples = `
Examples:
  parley start                          everything in one process, with a simulated phone and model
  parley start --split                  the same services as processes of their own, as in production
  parley say "Où en est ma commande ?"  write as a customer, see the answer and how it came about
  parley why <id>                       what led to what, for a message, event or receipt
  parley mail                           mail that was written here, with its links
  parley dead list                      what could not be handled, and why
  parley doctor                         what is wrong here, and what to do about it

Which Parley: the one running here; another one with PARLEY_URL and PARLEY_KEY.
Where it keeps things: .parley in the project; elsewhere with PARLEY_HOME or --data.
Exit codes: 0 done, 1 it failed, 2 the command line is wrong.`
