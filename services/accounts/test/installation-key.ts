import type { World } from '@parley/runtime/testing'
import { randomBytes } from 'node:crypto'

/** Starts the service anew with another installation key; the one before still opens. */
export async function changeKey(world: World): Promise<void> {
  world.environment['PARLEY_SECRET_KEY_PREVIOUS'] = world.environment['PARLEY_SECRET_KEY'] as string
  world.environment['PARLEY_SECRET_KEY'] = randomBytes(32).toString('base64')
  await world.restart()
}

/** Starts the service anew without the key before the last change. */
export async function dropPreviousKey(world: World): Promise<void> {
  delete world.environment['PARLEY_SECRET_KEY_PREVIOUS']
  await world.restart()
}
