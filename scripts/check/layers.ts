import { posix } from 'node:path'

/** Who may import whom (docs/decisions/0002-checks.md). A layer may always import itself within one package. */
const mayImport = {
  contracts: [],
  runtime: ['contracts'],
  providers: ['contracts'],
  embedded: [],
  service: ['contracts', 'runtime', 'providers'],
  all: ['contracts', 'runtime', 'providers', 'embedded', 'service'],
  bench: ['contracts', 'runtime', 'providers', 'embedded', 'service', 'all'],
  root: ['contracts', 'runtime', 'providers', 'embedded', 'service', 'all', 'bench'],
} as const satisfies Record<string, readonly string[]>
type Layer = keyof typeof mayImport

interface Place {
  layer: Layer
  /** The workspace's folder, '' for the root. */
  folder: string
}

const libraries: readonly string[] = ['contracts', 'runtime', 'providers', 'embedded'] satisfies Layer[]

/** Where a file (path from the root, with '/') belongs; undefined for a folder that has no layer yet. */
export function placeOf(file: string): Place | undefined {
  const [top = '', name = '', rest] = file.split('/')
  const inside = rest !== undefined
  if (top === 'packages' && inside && libraries.includes(name)) return { layer: name as Layer, folder: `packages/${name}` }
  if (top === 'services' && inside) return { layer: name === 'all' ? 'all' : 'service', folder: `services/${name}` }
  if (top === 'bench') return { layer: 'bench', folder: 'bench' }
  if (top === 'scripts' || !file.includes('/')) return { layer: 'root', folder: '' }
  return undefined
}

/** What an import names: a place of ours, or an outside package by name (`node:fs`, `pg`). */
function targetOf(file: string, specifier: string): Place | string | undefined {
  if (specifier.startsWith('.')) return placeOf(posix.join(posix.dirname(file), specifier))
  const own = /^@parley\/([^/]+)/.exec(specifier)?.[1]
  if (own === undefined) return /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier
  return placeOf(own === 'bench' ? 'bench/x' : libraries.includes(own) ? `packages/${own}/x` : `services/${own}/x`)
}

/** Tests may reach for the embedded servers and a raw pool; what ships may not. */
const isTest = (file: string) => /\.test\.ts$|\/test\//.test(file)
export const isRule = (file: string) => /^services\/[^/]+\/src\/rules\//.test(file)

/** The sentence that says why `file` may not import `specifier`; undefined when it may. */
export function refuseImport(file: string, specifier: string): string | undefined {
  const from = placeOf(file)
  if (!from) return `'${file}' belongs to no layer: add its folder to scripts/check/layers.ts.`
  const to = targetOf(file, specifier)
  if (isRule(file)) return refuseInRule(file, specifier)
  if (to === undefined) return `'${specifier}' is in no layer: add its folder to scripts/check/layers.ts.`
  if (typeof to === 'string') return refusePackage(file, from.layer, to)
  if (from.folder === to.folder) return undefined
  if (specifier.startsWith('.') && from.layer !== 'root')
    return `'${specifier}' leaves ${from.folder}: import the package by its name.`
  const allowed: readonly Layer[] = mayImport[from.layer]
  if (allowed.includes(to.layer)) return undefined
  if (to.layer === 'embedded' && isTest(file)) return undefined
  if (from.layer === 'service' && to.layer === 'service')
    return `A service never imports a service: hear an event of ${to.folder} instead.`
  return `${from.layer} may not import ${to.layer}.`
}

function refuseInRule(file: string, specifier: string): string | undefined {
  const why = 'A rule imports only @parley/contracts and other rules.'
  if (specifier === '@parley/contracts') return undefined
  if (isTest(file) && (specifier === 'vitest' || specifier === 'fast-check')) return undefined
  if (!specifier.startsWith('.')) return why
  const target = posix.join(posix.dirname(file), specifier)
  return isRule(target) && placeOf(target)?.folder === placeOf(file)?.folder ? undefined : why
}

function refusePackage(file: string, layer: Layer, name: string): string | undefined {
  if (isTest(file)) return undefined
  // Bytes and text are computing, not I/O: node:buffer knows what is UTF-8.
  if (layer === 'contracts' && name !== 'zod' && name !== 'node:buffer')
    return 'contracts uses zod and nothing else: no I/O, no other package.'
  if (layer !== 'service' && layer !== 'providers') return undefined
  if (name === 'pg') return 'Only packages/runtime opens a pool: its transactions set the role and the organization.'
  return undefined
}
