import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { placeOf } from './layers.ts'
import { run } from './run-part.ts'

const Tags = z.object({ tags: z.array(z.string()).length(1) })

/** turbo applies no rule to a package without a tag: every workspace must carry the tag of its layer. */
export function untagged(root: string): string[] {
  const folders = ['packages', 'services'].flatMap((top) => readdirSync(join(root, top)).map((name) => `${top}/${name}`))
  return [...folders, 'bench'].flatMap((folder) => {
    if (!existsSync(join(root, folder, 'package.json'))) return []
    const layer = placeOf(`${folder}/package.json`)?.layer
    const file = join(root, folder, 'turbo.json')
    const config = existsSync(file) ? Tags.safeParse(JSON.parse(readFileSync(file, 'utf8'))) : undefined
    if (layer && config?.data?.tags[0] === layer) return []
    return [`${folder}/turbo.json must say "tags": ["${layer ?? 'a layer of scripts/check/layers.ts'}"].`]
  })
}

/** What packages declare in their package.json; what files import is oxlint's part (oxlint-plugin.ts). */
export async function checkPackages(root: string): Promise<{ ok: boolean; output: string }> {
  const missing = untagged(root)
  const { exitCode, output } = await run(root, ['turbo', 'boundaries', '--skip-infer', '--no-update-notifier'])
  return { ok: exitCode === 0 && missing.length === 0, output: [...missing, output].join('\n') }
}

if (import.meta.main) {
  const { ok, output } = await checkPackages(fileURLToPath(new URL('../..', import.meta.url)))
  console.log(output)
  process.exitCode = ok ? 0 : 1
}
