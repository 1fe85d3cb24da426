import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A top-level declaration of a module: its text, and the file it stands in. */
interface Declaration {
  file: string
  text: string
}

/** One route as its source has it. */
export interface RouteSource {
  method: string
  path: string
  file: string
  /** The route and all it calls in its own service, however far, jobs and handlers not among them: those run after the answer. */
  reached: string
}

const start = /^(?:export )?(?:async )?(?:function\*?|const|let|class) (\w+)/
const notFollowed = /\/(?:jobs|handlers|migrations)\//

/** Splits a module where a declaration begins in the first column, which is how the formatter leaves it. */
function declarationsOf(file: string): Map<string, Declaration> {
  const found = new Map<string, Declaration>()
  let current: { name: string; lines: string[] } | undefined
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const name = start.exec(line)?.[1]
    if (name !== undefined) current = { name, lines: [] }
    current?.lines.push(line)
    if (current) found.set(current.name, { file, text: current.lines.join('\n') })
  }
  return found
}

function importsOf(file: string): Map<string, { file: string; name: string }> {
  const found = new Map<string, { file: string; name: string }>()
  for (const [, names = '', from = ''] of readFileSync(file, 'utf8').matchAll(/^import \{([^}]*)\} from '(\.[^']*)'/gm)) {
    for (const entry of names.split(',')) {
      const [name = '', alias = name] = entry.trim().split(/ as /)
      if (name !== '' && !name.startsWith('type ')) found.set(alias, { file: join(dirname(file), from), name })
    }
  }
  return found
}

/** Without comments and strings, whose words are no calls. */
const codeOf = (text: string) => text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '').replace(/'(?:[^'\\\n]|\\.)*'/g, "''")

/** Every Route of a package's `src`, with the text of all that it reaches. */
export function readRouteSources(src: string): RouteSource[] {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => join(src, name))
  const declarations = new Map(files.map((file) => [file, declarationsOf(file)]))
  const imports = new Map(files.map((file) => [file, importsOf(file)]))

  function reach({ file, text }: Declaration, seen: Set<string>): string {
    const texts = [codeOf(text)]
    for (const name of new Set(codeOf(text).match(/\b[A-Za-z]\w*\b/g) ?? [])) {
      const outside = imports.get(file)?.get(name)
      const place = outside ?? { file, name }
      const id = `${place.file}#${place.name}`
      const declared = declarations.get(place.file)?.get(place.name)
      if (!declared || seen.has(id) || notFollowed.test(place.file)) continue
      seen.add(id)
      texts.push(reach(declared, seen))
    }
    return texts.join('\n')
  }

  return files.flatMap((file) =>
    [...(declarations.get(file) ?? [])].flatMap(([name, declared]) => {
      if (!/^(?:export )?const \w+ = route\(\{/.test(declared.text)) return []
      const method = /\n {2}method: '(\w+)'/.exec(declared.text)?.[1] ?? ''
      const path = /\n {2}path: '([^']+)'/.exec(declared.text)?.[1] ?? ''
      return [{ method, path, file, reached: reach(declared, new Set([`${file}#${name}`])) }]
    }),
  )
}
