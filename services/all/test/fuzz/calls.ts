import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../chaos/random.ts'
import { projectFolder } from '../../src/home.ts'
import { anyMutation, anyText, changed, placesOf, replaced, write } from './mutations.ts'

interface Schema {
  type?: string | string[]
  properties?: Record<string, Schema>
  anyOf?: Schema[]
  maxLength?: number
  enum?: unknown[]
  default?: unknown
  examples?: unknown[]
}
interface Parameter {
  $ref?: string
  name: string
  in: 'path' | 'query' | 'header'
  schema?: Schema
  example?: unknown
}
interface Operation {
  parameters?: Parameter[]
  requestBody?: { content: Record<string, { schema?: Schema; example?: unknown; examples?: Record<string, { value: unknown }> }> }
}
interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { parameters: Record<string, Parameter> }
}

/** A route with what it takes, as the document has it. */
export interface Route {
  method: string
  path: string
  parameters: Parameter[]
  body: unknown
  /** Texts of the body that have a longest. */
  texts: { place: string[]; longest: number }[]
}

/** A call with one hostile value in it. */
export interface Call {
  method: string
  url: string
  headers: Record<string, string>
  body: string | undefined
  /** What is hostile about it. */
  about: string
}

/** The doors for webhooks have their own part; a stream has no end. */
const left = (path: string) => path.includes('webhook/') || /webhooks\/|handle-call|whatsapp-webhook|\/v1\/stream/.test(path)

/** Every route of docs/openapi.json. */
export function readRoutes(): Route[] {
  const document = JSON.parse(readFileSync(join(projectFolder, 'docs/openapi.json'), 'utf8')) as Document
  return Object.entries(document.paths)
    .filter(([path]) => !left(path))
    .flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => {
        const parameters = (operation.parameters ?? []).map(({ $ref, ...own }) =>
          $ref === undefined ? own : (document.components.parameters[$ref.split('/').at(-1) ?? ''] as Parameter),
        )
        return { method: method.toUpperCase(), path, parameters, body: bodyOf(operation), texts: textsOf(schemaOf(operation)) }
      }),
    )
}

const schemaOf = (operation: Operation) => operation.requestBody?.content['application/json']?.schema ?? {}

function textsOf(schema: Schema, place: string[] = []): Route['texts'] {
  const own = schema.maxLength === undefined || place.length === 0 ? [] : [{ place, longest: schema.maxLength }]
  const choices = (schema.anyOf ?? []).flatMap((choice) => textsOf(choice, place))
  return [
    ...own,
    ...choices,
    ...Object.entries(schema.properties ?? {}).flatMap(([name, part]) => textsOf(part, [...place, name])),
  ]
}

/** Every field that the schema names, with what the example has there. */
function bodyOf(operation: Operation): unknown {
  const content = operation.requestBody?.content['application/json']
  if (!content) return undefined
  // An example is a whole body: beside it, invented fields make the route refuse before it reads the hostile one.
  return content.example ?? Object.values(content.examples ?? {})[0]?.value ?? valueOf(content.schema ?? {})
}

function valueOf(schema: Schema): unknown {
  if (schema.default !== undefined) return schema.default
  const choice = schema.anyOf?.find(({ type }) => type !== 'null')
  if (choice) return valueOf(choice)
  if (schema.enum) return schema.enum[0]
  if (!schema.properties) return schema.type === 'string' ? 'Bonjour' : null
  return Object.fromEntries(Object.entries(schema.properties).map(([name, part]) => [name, valueOf(part)]))
}

/** One call of the route, with one of its inputs hostile, and the rest as it should be. `known` has ids that there are. */
export function anyCall(route: Route, known: (parameter: string, path: string) => string | undefined, random: Random): Call {
  const places = placesOf(route.body)
  const inputs = [...route.parameters, ...(places.length > 0 ? [undefined, undefined] : [])]
  const target = inputs.length === 0 ? undefined : random.pick(inputs)
  const headers: Record<string, string> = {}
  const query: string[] = []
  let about = 'as it should be'
  let path = route.path
  for (const parameter of route.parameters) {
    const isTarget = parameter === target
    const text = isTarget ? anyText(random) : undefined
    if (isTarget) about = `${parameter.in} ${parameter.name} is ${text?.name}`
    const usual = known(parameter.name, route.path) ?? exampleOf(parameter)
    const value = text?.encoded ?? encodeURIComponent(usual)
    if (parameter.in === 'path') path = path.replace(`{${parameter.name}}`, value === '' ? '%20' : value)
    // Filters that nobody asked for would only narrow what the hostile one meets.
    else if (parameter.in === 'query' && isTarget) query.push(`${parameter.name}=${value}`)
    else if (parameter.in === 'header' && isTarget) headers[parameter.name] = value.slice(0, 2_000)
  }
  const url = path + (query.length > 0 ? `?${query.join('&')}` : '')
  if (route.body === undefined) return { method: route.method, url, headers, body: undefined, about }
  headers['content-type'] = 'application/json'
  if (target !== undefined || places.length === 0) {
    return { method: route.method, url, headers, body: write(route.body), about }
  }
  const [place, name] = [random.pick(places), anyMutation(random)]
  const body = write(changed(route.body, place, name))
  return { method: route.method, url, headers, body, about: `body.${place.join('.')} is ${name}` }
}

function exampleOf({ example, schema }: Parameter): string {
  const found = example ?? schema?.examples?.[0] ?? 'none'
  return typeof found === 'string' ? found : JSON.stringify(found)
}

/** Each text input as long as its schema lets it be, in letters that take more bytes where it is kept than here. */
export function longestCalls(route: Route, known: (parameter: string, path: string) => string | undefined): Call[] {
  const headers = route.body === undefined ? undefined : { 'content-type': 'application/json' }
  const addressed = (target?: Parameter, text = '') => {
    const path = route.parameters
      .filter((parameter) => parameter.in === 'path')
      .reduce((at, parameter) => {
        const value = parameter === target ? text : (known(parameter.name, route.path) ?? exampleOf(parameter))
        return at.replace(`{${parameter.name}}`, encodeURIComponent(value))
      }, route.path)
    return target?.in === 'query' ? `${path}?${target.name}=${encodeURIComponent(text)}` : path
  }
  const call = (url: string, body: unknown, about: string): Call => ({
    method: route.method,
    url,
    headers: headers ?? {},
    body: body === undefined ? undefined : write(body),
    about,
  })
  return ['"', '漢', '\u0000', 'x'].flatMap((letter) => [
    ...route.parameters
      // Node takes 16 KiB of a request line, in which each of these letters may stand as nine.
      .flatMap((parameter) => {
        const longest = Math.min(parameter.schema?.maxLength ?? 0, 1_000)
        if (parameter.in === 'header' || longest === 0) return []
        const url = addressed(parameter, letter.repeat(longest))
        return [call(url, route.body, `${parameter.in} ${parameter.name} is ${longest} of ${JSON.stringify(letter)}`)]
      }),
    ...route.texts.map(({ place, longest }) =>
      call(
        addressed(),
        replaced(route.body, place, letter.repeat(longest)),
        `body.${place.join('.')} is ${longest} of ${JSON.stringify(letter)}`,
      ),
    ),
  ])
}
