import { startInfrastructure } from '@parley/embedded'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { projectFolder } from '../../src/home.ts'
import { fuzz, openGround } from '../fuzz/fuzz.ts'
import { createRandom } from './random.ts'

/** Rounds of the fuzz until the time is up, each out of the one seed; false when something broke. */
export async function playFuzz({ seed, minutes, quick }: { seed: number; minutes: number; quick: boolean }): Promise<boolean> {
  const folder = join(projectFolder, '.parley', `test-${process.pid}`, 'fuzz')
  mkdirSync(folder, { recursive: true })
  const servers = await startInfrastructure({ folder })
  const until = performance.now() + minutes * 60_000
  const random = createRandom(seed)
  let [rounds, deliveries, calls] = [0, 0, 0]
  const broken = new Set<string>()
  try {
    do {
      // A product of its own for each round: what one leaves behind is not taken for the next one's.
      const ground = await openGround(servers)
      try {
        const size = quick ? { deliveries: 120, calls: 300 } : { deliveries: 400, calls: 2_000 }
        const found = await fuzz(ground, random.fork(`round ${rounds}`), { ...size, longest: rounds === 0 })
        for (const line of found.broken) if (!broken.has(line)) console.log(`    ${line}`)
        for (const line of found.broken) broken.add(line)
        rounds += 1
        deliveries += found.deliveries
        calls += found.calls
        console.log(`FUZZ round ${rounds}: ${JSON.stringify(found.statuses)}, ${found.broken.length} broken`)
      } finally {
        await ground.close()
      }
    } while (!quick && performance.now() < until)
  } finally {
    await servers.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  console.log(`FUZZ: ${rounds} rounds, ${deliveries} deliveries, ${calls} calls, ${broken.size} broken`)
  return broken.size === 0
}
