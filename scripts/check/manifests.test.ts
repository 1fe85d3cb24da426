import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, parseAllDocuments } from 'yaml'
import { describe, expect, test } from 'vitest'
import { keeperName } from '../../packages/runtime/src/bus-permissions.ts'
import { roleOf, relayRole } from '../../packages/runtime/src/schema.ts'
import { databaseVariables, type Deployable, kubernetes, processVariables, variablesOf } from '../generate/k8s.ts'
import { natsLogins, natsPasswordOf } from '../generate/nats.ts'
import { assignPrefixes } from '../generate/prefixes.ts'
import { findServices } from '../generate/services.ts'
import { run } from './run-part.ts'

// What runs in a cluster is read from the committed files, not from the generator: a file edited by hand is judged as well.

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const services = (await findServices(root)) as unknown as readonly Deployable[]
const names = services.map(({ name }) => name)

interface Container {
  name: string
  image: string
  args?: string[]
  startupProbe?: object
  livenessProbe?: object
  readinessProbe?: object
  lifecycle?: { preStop?: { sleep?: { seconds: number } } }
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> }
  securityContext?: { allowPrivilegeEscalation?: boolean; readOnlyRootFilesystem?: boolean; capabilities?: { drop?: string[] } }
}
interface PodSpec {
  terminationGracePeriodSeconds?: number
  automountServiceAccountToken?: boolean
  securityContext?: { runAsNonRoot?: boolean; seccompProfile?: { type: string } }
  initContainers?: Container[]
  containers: Container[]
}
/** As much of a Kubernetes object as is looked at here. */
interface Manifest {
  kind: string
  metadata: { name: string }
  data?: Record<string, string>
  spec?: {
    template?: { spec: PodSpec }
    selector?: { matchLabels?: Record<string, string> }
    scaleTargetRef?: { name: string }
    podSelector?: object
    policyTypes?: string[]
    ingress?: object[]
    egress?: object[]
    rules?: { matches: { path: { type: string; value: string } }[]; backendRefs: { name: string }[] }[]
  }
}

const documentsOf = (text: string): Manifest[] => parseAllDocuments(text).map((document) => document.toJS() as Manifest)
const kustomizationOf = (folder: string) => parse(read(`${folder}/kustomization.yaml`)) as { resources: string[] }
/** Every object that a folder's kustomization names itself. */
const manifestsOf = (folder: string): Manifest[] =>
  kustomizationOf(folder)
    .resources.filter((file) => file.endsWith('.yaml'))
    .flatMap((file) => documentsOf(read(`${folder}/${file}`)))

const base = manifestsOf('k8s/base')
const small = manifestsOf('k8s/overlays/small')
const production = manifestsOf('k8s/overlays/production')

/** What keeps a pod from being let into a strict cluster, or from ending in good order. */
function workloadProblems({ kind, metadata, spec }: Manifest): string[] {
  const pod = spec?.template?.spec
  if (!pod) return []
  const problems: string[] = []
  const wants = (holds: boolean | undefined, what: string) => {
    if (!holds) problems.push(`${kind} ${metadata.name}: ${what}`)
  }
  wants(pod.securityContext?.runAsNonRoot === true, 'runAsNonRoot')
  wants(pod.securityContext?.seccompProfile?.type === 'RuntimeDefault', 'seccompProfile')
  wants(pod.automountServiceAccountToken === false, 'automountServiceAccountToken: false')
  for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
    const { securityContext: own, resources } = container
    wants(own?.allowPrivilegeEscalation === false, 'allowPrivilegeEscalation: false')
    wants(own?.readOnlyRootFilesystem === true, 'readOnlyRootFilesystem')
    wants(own?.capabilities?.drop?.includes('ALL'), 'capabilities.drop: [ALL]')
    wants(resources?.requests?.['cpu'] !== undefined && resources.requests['memory'] !== undefined, 'resources.requests')
    wants(resources?.limits?.['memory'] !== undefined, 'resources.limits.memory')
    wants(isPinned(container.image), `a pinned image, not ${container.image}`)
    if (kind === 'Job') continue
    wants(container.startupProbe && container.livenessProbe && container.readinessProbe ? true : undefined, 'three probes')
    wants((container.lifecycle?.preStop?.sleep?.seconds ?? 0) >= 5, 'preStop')
  }
  const grace = pod.terminationGracePeriodSeconds
  if (kind === 'Deployment') wants(grace === 40, 'terminationGracePeriodSeconds: 40')
  if (kind === 'StatefulSet') wants((grace ?? 0) >= 40, 'terminationGracePeriodSeconds of 40 or more')
  return problems
}

/** To the patch: `postgres:18` is another program tomorrow. Postgres has two numbers, the others three. */
const isPinned = (image: string) => /@sha256:[0-9a-f]{64}$|(?:^|\/)postgres:\d+\.\d+$|[^/]:v?\d+\.\d+\.\d+[\w.-]*$/.test(image)

/** Which object a service lacks. */
function absences(manifests: readonly Manifest[], kinds: readonly string[], wanted = names): string[] {
  const there = new Set(manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`))
  return wanted.flatMap((name) => kinds.map((kind) => `${kind} ${name}`)).filter((object) => !there.has(object))
}

/** The service that the gateway sends a path to: of the prefixes that fit, the longest wins. */
function gatewayFor(manifests: readonly Manifest[]): (path: string) => string | undefined {
  const rules = manifests
    .flatMap(({ kind, spec }) => (kind === 'HTTPRoute' ? (spec?.rules ?? []) : []))
    .flatMap(({ matches, backendRefs }) => matches.map(({ path }) => ({ prefix: path.value, to: backendRefs[0]?.name })))
    .toSorted((a, b) => b.prefix.length - a.prefix.length)
  return (path) => rules.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`))?.to
}

const placesOf = ({ name, routes, pluginPaths }: Deployable): string[] => [
  ...routes.flatMap(({ path, also = [] }) => [path, ...also.map((place) => place.split(' ')[1] ?? '')]),
  `/v1/ops/${name}/dead-letters`,
  ...pluginPaths,
]

describe('every workload', () => {
  const workloads = [...base, ...small, ...production].filter(({ spec }) => spec?.template)

  test('is hardened, bounded, probed and ends in good order', () => {
    expect(workloads.length).toBeGreaterThan(names.length + 2)
    expect(workloads.flatMap(workloadProblems)).toEqual([])
  })

  test.each<[string, (pod: PodSpec, container: Container) => void]>([
    ['three probes', (_, container) => delete container.readinessProbe],
    ['preStop', (_, container) => delete container.lifecycle],
    ['terminationGracePeriodSeconds: 40', (pod) => (pod.terminationGracePeriodSeconds = 30)],
    ['resources.limits.memory', (_, container) => delete container.resources?.limits],
    ['runAsNonRoot', (pod) => delete pod.securityContext],
    ['readOnlyRootFilesystem', (_, container) => delete container.securityContext?.readOnlyRootFilesystem],
    ['capabilities.drop: [ALL]', (_, container) => delete container.securityContext?.capabilities],
    ['allowPrivilegeEscalation: false', (_, container) => delete container.securityContext?.allowPrivilegeEscalation],
    ['a pinned image', (_, container) => (container.image = 'parley-inbox:latest')],
    ['a pinned image', (_, container) => (container.image = 'nats:2.12-alpine')],
    ['a pinned image', (_, container) => (container.image = 'postgres:18')],
    ['a pinned image', (_, container) => (container.image = 'registry:5000/parley-inbox')],
  ])('without %s is caught', (what, spoil) => {
    const deployment = structuredClone(base.find(({ kind }) => kind === 'Deployment'))
    const pod = deployment?.spec?.template?.spec
    if (!deployment || !pod?.containers[0]) throw new Error('k8s/base has no Deployment.')
    spoil(pod, pod.containers[0])
    expect(workloadProblems(deployment).join('\n')).toContain(what)
  })
})

describe('every service', () => {
  test('is deployed, reached, and kept up in production', () => {
    expect(absences(base, ['Deployment', 'Service', 'HTTPRoute'])).toEqual([])
    expect(absences(production, ['PodDisruptionBudget', 'HorizontalPodAutoscaler'])).toEqual([])
  })

  test('that is taken out of a file is missed', () => {
    const without = base.filter(({ metadata }) => metadata.name !== names[0])
    expect(absences(without, ['Deployment', 'HTTPRoute'])).toEqual([`Deployment ${names[0]}`, `HTTPRoute ${names[0]}`])
  })

  test('and nothing else is deployed beside them', () => {
    const deployed = base.filter(({ kind }) => kind === 'Deployment').map(({ metadata }) => metadata.name)
    expect(deployed.toSorted()).toEqual([...names, keeperName].toSorted())
  })

  test('gets the calls to all its paths through the gateway', () => {
    const gateway = gatewayFor(base)
    const astray = services.flatMap((service) => placesOf(service).filter((path) => gateway(path) !== service.name))
    expect(astray).toEqual([])
    expect(gateway('/v1/nobody')).toBeUndefined()
  })

  test('that is new is missing in the committed files until they are generated again', () => {
    const [first] = services
    if (!first) throw new Error('There is no service.')
    const files = kubernetes(
      [...services, { ...first, name: 'newcomer', routes: [], pluginPaths: [], plugin: undefined } as never],
      '0.1.0',
    )
    const generated = documentsOf(files.find(({ path }) => path === 'k8s/base/services.yaml')?.text ?? '')
    expect(absences(generated, ['Deployment', 'Service'], [...names, 'newcomer'])).toEqual([])
    expect(absences(base, ['Deployment'], [...names, 'newcomer'])).toEqual(['Deployment newcomer'])
  })
})

describe('path prefixes', () => {
  const service = (name: string, ...paths: string[]) => ({ name, routes: paths.map((path) => ({ path })), pluginPaths: [] })

  test('of two services may lie within each other, the longer one wins', () => {
    const prefixes = assignPrefixes([service('a', '/v1/things', '/v1/things/:id'), service('b', '/v1/things/special')])
    expect(prefixes.get('a')).toEqual(['/v1/ops/a', '/v1/things'])
    expect(prefixes.get('b')).toEqual(['/v1/ops/b', '/v1/things/special'])
  })

  test('that two services share are refused', () => {
    expect(() => assignPrefixes([service('a', '/v1/things/:id'), service('b', '/v1/things/:id/parts')])).toThrow(
      'a and b both answer below /v1/things',
    )
  })

  test('of a plugin must be named', () => {
    expect(() => assignPrefixes([{ ...service('a'), plugin: () => undefined }])).toThrow('a has a plugin')
  })

  test('must begin with something fixed', () => {
    expect(() => assignPrefixes([service('a', '/:anything')])).toThrow("'/:anything' starts with no fixed part")
  })
})

test('the image is built on a pinned Node', () => {
  expect(isPinned(/^ARG NODE_IMAGE=(.+)$/m.exec(read('infra/Dockerfile'))?.[1] ?? '')).toBe(true)
})

describe('the settings of the cluster', () => {
  const settings = (name: string) => base.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name)?.data ?? {}

  test('say which proxies are believed, so that not all callers are one address', () => {
    expect(settings('parley')['TRUST_PROXY']).toMatch(/^[\d./,a-f:]+$/)
  })

  test('say where links in mail lead', () => {
    expect(settings('parley-accounts')['ACCOUNTS_PUBLIC_URL']).toMatch(/^https:/)
  })
})

describe('the network', () => {
  /** The ports on which a service may reach the internet. */
  const reachedBy = (name: string) =>
    base
      .filter(({ kind, spec }) => kind === 'NetworkPolicy' && selects(spec?.podSelector, name))
      .flatMap(({ spec }) => spec?.egress ?? [])
      .filter((rule) => JSON.stringify(rule).includes('0.0.0.0/0'))
      .flatMap((rule) => (rule as { ports: { port: number }[] }).ports.map(({ port }) => port))
      .toSorted((a, b) => a - b)
  const selects = (selector: object | undefined, name: string) => JSON.stringify(selector ?? {}).includes(`"${name}"`)

  test('lets each service reach what it speaks with outside, and nothing else', () => {
    expect(Object.fromEntries(names.map((name) => [name, reachedBy(name)]))).toEqual({
      accounts: [443, 465, 587],
      agents: [443],
      inbox: [],
      ingest: [443],
      notifier: [443],
    })
  })

  test('is closed to everybody and in both directions, unless a policy opens it', () => {
    const closed = base.filter(({ kind }) => kind === 'NetworkPolicy').find(({ metadata }) => metadata.name === 'default-deny')
    expect(closed?.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] })
  })

  test('lets nobody in from everywhere', () => {
    const open = base.filter(({ kind, spec }) => kind === 'NetworkPolicy' && spec?.ingress?.some((rule) => !('from' in rule)))
    expect(open.map(({ metadata }) => metadata.name)).toEqual([])
  })
})

describe('kustomize', () => {
  const installed = ['/usr/bin', '/usr/local/bin', ...(process.env['PATH'] ?? '').split(':')].some((folder) =>
    existsSync(join(folder, 'kubectl')),
  )

  test.skipIf(!installed).each(['k8s/base', 'k8s/overlays/small', 'k8s/overlays/production'])(
    'builds %s, and its workloads stay hardened (skipped where there is no kubectl)',
    async (folder) => {
      const { exitCode, output } = await run(root, ['kubectl', 'kustomize', folder])
      expect(exitCode, output).toBe(0)
      const built = documentsOf(output)
      expect(absences(built, ['Deployment', 'Service', 'HTTPRoute'])).toEqual([])
      expect(built.flatMap(workloadProblems)).toEqual([])
    },
  )

  test('reads every file of its folder, except the examples', () => {
    for (const folder of ['k8s/base', 'k8s/overlays/small', 'k8s/overlays/production']) {
      const text = read(`${folder}/kustomization.yaml`)
      const forgotten = readdirSync(join(root, folder)).filter(
        (file) => !/^kustomization|example/.test(file) && !text.includes(file),
      )
      expect(forgotten).toEqual([])
    }
  })

  test.each([
    ['nats.conf', 'infra/nats'],
    ['accounts.conf', 'infra/nats'],
    ['postgresql.conf', 'infra/postgres'],
  ])('gives the small overlay the %s that %s has', (file, folder) => {
    expect(read(`k8s/overlays/small/${file}`)).toBe(read(`${folder}/${file}`))
  })
})

describe('compose.yaml', () => {
  interface Composed {
    image?: string
    environment?: Record<string, string>
    read_only?: boolean
    cap_drop?: string[]
    cap_add?: string[]
    security_opt?: string[]
    stop_grace_period?: string
    ports?: string[]
  }
  const compose = parse(read('compose.yaml'), { merge: true }) as { services: Record<string, Composed> }

  test.each(services.map((service) => [service.name, service] as const))(
    'runs %s hardened, with all that it needs',
    (name, service) => {
      const entry = compose.services[name]
      expect(entry).toMatchObject({ read_only: true, cap_drop: ['ALL'], stop_grace_period: '40s' })
      const needed = [...processVariables(), ...variablesOf(service.config)]
        .filter(({ required }) => required)
        .map((variable) => variable.name)
      const known = [
        ...databaseVariables,
        ...[...processVariables(), ...variablesOf(service.config)].map((variable) => variable.name),
        'NODE_OPTIONS',
      ]
      expect(Object.keys(entry?.environment ?? {})).toEqual(expect.arrayContaining([...databaseVariables, ...needed]))
      expect(Object.keys(entry?.environment ?? {}).filter((variable) => !known.includes(variable))).toEqual([])
      expect(entry?.environment?.['DATABASE_URL']).toContain(`postgres://${roleOf(name)}:`)
      expect(entry?.ports, 'only the door is reached from outside').toBeUndefined()
    },
  )

  test('gives every role its password', () => {
    const passwords = compose.services['migrate']?.environment?.['ROLE_PASSWORDS'] ?? ''
    expect(Object.keys(JSON.parse(passwords) as object).toSorted()).toEqual([relayRole, ...names.map(roleOf)].toSorted())
  })

  test('gives every login at the broker its password, to it and to the broker', () => {
    const logins = natsLogins(services)
    const environment = compose.services['nats']?.environment ?? {}
    expect(Object.keys(environment).toSorted()).toEqual(logins.map(natsPasswordOf).toSorted())
    for (const login of logins)
      expect(compose.services[login]?.environment?.['NATS_PASSWORD'], login).toBe(environment[natsPasswordOf(login)])
  })

  test('pins every image', () => {
    const images = Object.values(compose.services).map(({ image }) => image ?? '')
    expect(images.filter((image) => !isPinned(image))).toEqual([])
  })

  test('gives no container more than it needs', () => {
    const soft = Object.entries(compose.services).filter(
      ([, { read_only, cap_drop, security_opt }]) =>
        read_only !== true || !cap_drop?.includes('ALL') || !security_opt?.includes('no-new-privileges:true'),
    )
    expect(soft.map(([name]) => name)).toEqual([])
    const given = Object.values(compose.services).flatMap(({ cap_add = [] }) => cap_add)
    expect(new Set(given)).toEqual(new Set(['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETGID', 'SETUID', 'NET_BIND_SERVICE']))
  })

  test('has no password that everybody knows, and the guide makes each one that it asks for', () => {
    const text = read('compose.yaml')
    expect([...text.matchAll(/\$\{(\w*(?:PASSWORD|SECRET|KEY)\w*):-[^}]+\}/g)].map(([, name]) => name)).toEqual([])
    const asked = [...text.matchAll(/\$\{(\w+):\?/g)].map(([, name = '']) => name)
    const recipe = /```sh\n(for name in POSTGRES[\s\S]*?)```/.exec(read('docs/operations.md'))?.[1] ?? ''
    const loops = [
      ...recipe.matchAll(
        /for name in ([A-Z ]+); do echo "(\w*)\$\{name\}(\w*)=|for name in ([A-Z ]+); do echo "(\w+)\$\{name\}=/g,
      ),
    ]
    const made = loops.flatMap(([, some, before = '', after = '', others, prefix = '']) =>
      (some ?? others ?? '').split(' ').map((name) => (some === undefined ? `${prefix}${name}` : `${before}${name}${after}`)),
    )
    expect(asked.filter((name) => !made.includes(name) && !recipe.includes(`${name}=`))).toEqual([])
  })
})
