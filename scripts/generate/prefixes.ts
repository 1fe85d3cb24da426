/** What a gateway needs to know of a service. */
export interface Routable {
  name: string
  routes: readonly { path: string; also?: readonly string[] | undefined }[]
  /** What a plugin answers beside the routes. */
  pluginPaths: readonly string[]
  plugin?: unknown
}

/**
 * The path prefixes of each service: routes up to their first parameter, without those that a shorter one covers. Throws TypeError
 * when two services answer below one prefix (a gateway could not tell them apart) or a plugin does not say where it answers.
 */
export function assignPrefixes(services: readonly Routable[]): Map<string, string[]> {
  const owners = new Map<string, string>()
  for (const service of services) {
    if (service.plugin !== undefined && service.pluginPaths.length === 0)
      throw new TypeError(`${service.name} has a plugin: its service object must name the paths in pluginPaths.`)
    const routed = service.routes.flatMap(({ path, also = [] }) => [path, ...also.map((place) => place.replace(/^\S+ /, ''))])
    for (const path of [...routed, `/v1/ops/${service.name}`, ...service.pluginPaths]) {
      const prefix = path.split('/:')[0] ?? ''
      if (!/^(\/[\w.-]+)+$/.test(prefix)) throw new TypeError(`${service.name}: '${path}' starts with no fixed part to route by.`)
      const owner = owners.get(prefix)
      if (owner !== undefined && owner !== service.name)
        throw new TypeError(
          `${owner} and ${service.name} both answer below ${prefix}: a gateway routes by prefix, give one of them another.`,
        )
      owners.set(prefix, service.name)
    }
  }
  const prefixes = [...owners.keys()].toSorted()
  const needed = prefixes.filter((prefix) => owners.get(coverOf(prefix, prefixes) ?? '') !== owners.get(prefix))
  return new Map(services.map(({ name }) => [name, needed.filter((prefix) => owners.get(prefix) === name)]))
}

/** The longest other prefix that `prefix` lies below. */
function coverOf(prefix: string, prefixes: readonly string[]): string | undefined {
  return prefixes.findLast((other) => prefix.startsWith(`${other}/`))
}
