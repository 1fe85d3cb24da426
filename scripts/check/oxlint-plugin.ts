import { relative, sep } from 'node:path'
import { isRule, placeOf, refuseImport } from './layers.ts'

// oxlint hands plugins ESLint's tree and publishes no types for it: these are the parts that the two rules read.
interface Node {
  type: string
  parent?: Node
  [field: string]: unknown
}
interface Context {
  filename: string
  cwd: string
  report(problem: { node: Node; message: string }): void
}
type Visitor = Record<string, (node: Node) => void>

const fileOf = (context: Context) => relative(context.cwd, context.filename).split(sep).join('/')

/** Every link between modules, type-only ones too: a type shared by two services couples them all the same. */
const imports = {
  create(context: Context): Visitor {
    const file = fileOf(context)
    const check = (node: Node, source: unknown) => {
      const specifier = (source as { value?: unknown } | null | undefined)?.value
      const layer = placeOf(file)?.layer
      const message =
        typeof specifier === 'string'
          ? refuseImport(file, specifier)
          : layer === 'root' || layer === 'bench'
            ? undefined
            : 'A computed import hides what depends on what: name the module.'
      if (message) context.report({ node, message })
    }
    const declared = (node: Node) => {
      if (node['source']) check(node, node['source'])
    }
    return {
      ImportDeclaration: declared,
      ExportAllDeclaration: declared,
      ExportNamedDeclaration: declared,
      ImportExpression: (node) => check(node, node['source']),
      TSImportType: (node) => check(node, node['source']),
    }
  },
}

const impure = new Set(['fetch', 'process', 'performance', 'crypto', 'globalThis', 'setTimeout', 'setInterval', 'setImmediate'])
const impureMembers: Record<string, string[]> = { Date: ['now'], Math: ['random'] }

/** A rule is a function of its arguments: no clock, no randomness, no outside world. */
const pureRules = {
  create(context: Context): Visitor {
    if (!isRule(fileOf(context))) return {}
    return {
      Identifier(node) {
        const parent = node.parent
        const name = node['name'] as string
        if (!parent || isName(node, parent)) return
        if (impure.has(name)) context.report({ node, message: `A rule is pure: '${name}' must arrive as an argument.` })
        if (name in impureMembers && !isHarmless(node, parent)) {
          context.report({ node, message: `A rule is pure: time and randomness are arguments, not read from '${name}'.` })
        }
      },
    }
  },
}

const typePositions = new Set(['TSTypeReference', 'TSTypeQuery', 'TSQualifiedName', 'TSPropertySignature', 'TSMethodSignature'])

/** True where the identifier only names a property or a type. */
function isName(node: Node, parent: Node): boolean {
  if (typePositions.has(parent.type)) return true
  if (parent['computed'] === true) return false
  if (parent.type === 'MemberExpression') return parent['property'] === node
  return parent.type === 'Property' && parent['key'] === node && parent['shorthand'] !== true
}

/** `new Date(text)`, `Date.parse`, `Math.min`: same input, same answer. */
function isHarmless(node: Node, parent: Node): boolean {
  if (parent.type === 'NewExpression') return parent['callee'] === node && (parent['arguments'] as unknown[]).length > 0
  if (parent.type === 'BinaryExpression') return parent['operator'] === 'instanceof'
  if (parent.type !== 'MemberExpression' || parent['computed'] === true) return false
  const member = (parent['property'] as Node)['name'] as string
  return !impureMembers[node['name'] as string]?.includes(member)
}

export default { meta: { name: 'parley' }, rules: { imports, 'pure-rules': pureRules } }
