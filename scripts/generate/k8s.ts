import { stringify } from 'yaml'
import { z } from 'zod'
import { laneCount } from '../../packages/contracts/src/index.ts'
import { keeperName } from '../../packages/runtime/src/bus-permissions.ts'
import { ProcessConfig } from '../../packages/runtime/src/process-config.ts'
import type { Artifact } from './artifacts.ts'
import { natsLogins, natsPasswordOf } from './nats.ts'
import { assignPrefixes, type Routable } from './prefixes.ts'
import type { ServiceShape } from './services.ts'

/** What Kubernetes needs to know of a service. */
export type Deployable = ServiceShape & Routable & { config: z.ZodType }

/** The files of k8s/ and infra/ that follow from the service list: a new service is deployed, reached and scaled, or the check fails. */
export function kubernetes(services: readonly ServiceShape[], version: string): Artifact[] {
  const all = services.map(deployable)
  const prefixes = assignPrefixes(all)
  return [
    {
      path: 'k8s/base/services.yaml',
      text: print(all.flatMap((service) => [deployment(service.name, version), service_(service.name)])),
    },
    { path: 'k8s/base/routes.yaml', text: print([...prefixes].map(([name, paths]) => httpRoute(name, paths))) },
    { path: 'k8s/base/keeper.yaml', text: print([keeper(version)], keeperHead) },
    { path: 'k8s/base/secrets.example.yaml', text: print([...all.map(exampleSecret), ...brokerSecrets(all)], secretsHead) },
    { path: 'infra/compose/Caddyfile', text: caddyfile(prefixes) },
    {
      path: 'k8s/overlays/production/scaling.yaml',
      text: print(all.flatMap(({ name }) => [disruptionBudget(name), autoscaler(name)])),
    },
  ]
}

function deployable(service: ServiceShape): Deployable {
  if (!('config' in service && service.config instanceof z.ZodObject))
    throw new TypeError(`${service.name} must declare its config as a z.object.`)
  return service as Deployable
}

/** An environment variable as its schema declares it. */
export interface Variable {
  name: string
  required: boolean
  fallback: unknown
}

/** What a service, or every process, reads from the environment. */
export function variablesOf(config: z.ZodType): Variable[] {
  const schema = z.toJSONSchema(config, { io: 'input', unrepresentable: 'any' })
  const required = new Set(schema.required)
  return Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    name,
    required: required.has(name),
    fallback: typeof property === 'object' ? property.default : undefined,
  }))
}

/** The variables that run() reads itself, before any schema: a service's own role and the relay's. */
export const databaseVariables = ['DATABASE_URL', 'RELAY_DATABASE_URL'] as const

/** What every process reads, whatever service it runs. */
export const processVariables = () => variablesOf(ProcessConfig)

// --- the way in ---

// A route may hold 16 rules of 64 matches; one rule per service is enough.
const mostMatches = 64

function httpRoute(name: string, prefixes: readonly string[]) {
  if (prefixes.length > mostMatches)
    throw new TypeError(`${name} answers below ${prefixes.length} prefixes; a gateway rule holds ${mostMatches}.`)
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, labels: labels(name) },
    spec: {
      parentRefs: [{ name: 'parley' }],
      rules: [
        {
          matches: prefixes.map((value) => ({ path: { type: 'PathPrefix', value } })),
          backendRefs: [{ name, port: 80 }],
          // The services bound every call themselves, and a live stream stays open for as long as somebody looks.
          timeouts: { request: '0s' },
        },
      ],
    },
  }
}

// --- workloads ---

const labels = (name: string) => ({ 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': 'parley' })

const probe = (path: string, rest: object) => ({ httpGet: { path, port: 'admin' }, timeoutSeconds: 3, ...rest })

function deployment(name: string, version: string) {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels: labels(name) },
    // No `replicas`: one by default, and an autoscaler's number is not set back by an apply.
    spec: {
      revisionHistoryLimit: 5,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      selector: { matchLabels: labels(name) },
      template: {
        metadata: {
          labels: labels(name),
          annotations: { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '9090', 'prometheus.io/path': '/metrics' },
        },
        spec: {
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 40,
          securityContext: { runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, seccompProfile: { type: 'RuntimeDefault' } },
          topologySpreadConstraints: [
            {
              maxSkew: 1,
              topologyKey: 'kubernetes.io/hostname',
              whenUnsatisfiable: 'ScheduleAnyway',
              labelSelector: { matchLabels: labels(name) },
            },
          ],
          containers: [container(name, version)],
        },
      },
    },
  }
}

function container(name: string, version: string) {
  return {
    name,
    image: `parley-${name}:${version}`,
    ports: [
      { name: 'http', containerPort: 8080 },
      { name: 'admin', containerPort: 9090 },
    ],
    envFrom: [
      { configMapRef: { name: 'parley' } },
      { configMapRef: { name: `parley-${name}`, optional: true } },
      { secretRef: { name: `parley-${name}` } },
    ],
    // A start waits up to a minute for the database and again for the broker, whatever comes up first.
    startupProbe: probe('/readyz', { periodSeconds: 2, failureThreshold: 90 }),
    livenessProbe: probe('/healthz', { periodSeconds: 10, failureThreshold: 3 }),
    readinessProbe: probe('/readyz', { periodSeconds: 5, failureThreshold: 2 }),
    // Endpoints are withdrawn while this sleeps, so that no call reaches a closed door; 25 s for what is under way come after it.
    lifecycle: { preStop: { sleep: { seconds: 5 } } },
    resources: { requests: { cpu: '250m', memory: '256Mi' }, limits: { memory: '512Mi' } },
    securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
  }
}

function service_(name: string) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, labels: labels(name) },
    // The admin port is not in it: metrics and health are scraped from the pods, never reached through the gateway.
    spec: { selector: labels(name), ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
  }
}

const keeperHead = `The one login that manages the stream (docs/decisions/0013). While it is away nothing stops, unless the stream is lost meanwhile.
`

/** Like a service, without one: nobody calls it but over the broker. */
function keeper(version: string) {
  const made = deployment(keeperName, version)
  const [own] = made.spec.template.spec.containers
  if (!own) throw new Error('A deployment has a container.')
  own.image = `parley-all:${version}`
  return {
    ...made,
    spec: {
      ...made.spec,
      template: {
        ...made.spec.template,
        spec: {
          ...made.spec.template.spec,
          containers: [
            {
              ...own,
              args: ['keep'],
              ports: own.ports.filter((port) => port.name === 'admin'),
              resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
            },
          ],
        },
      },
    },
  }
}

const secretsHead = `Which secrets there may be, with no values; docs/operations.md says which are needed when.
Not part of the kustomization: make them with your own secret store.
`

function exampleSecret({ name, config }: Deployable) {
  const secrets = variablesOf(config).filter((variable) => /_(KEY|TOKEN|SECRET|PASSWORD)(_|$)/.test(variable.name))
  const wanted = [...databaseVariables, 'NATS_PASSWORD', 'PARLEY_API_KEYS', ...secrets.map((variable) => variable.name)]
  return secret(`parley-${name}`, wanted)
}

/** Each login's password twice: for who logs in, and for the broker of the small overlay. */
const brokerSecrets = (services: readonly Deployable[]) => [
  secret(`parley-${keeperName}`, ['NATS_PASSWORD']),
  secret('parley-nats', natsLogins(services).map(natsPasswordOf)),
]

const secret = (name: string, variables: readonly string[]) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name },
  stringData: Object.fromEntries(variables.map((variable) => [variable, ''])),
})

// --- production ---

function disruptionBudget(name: string) {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name, labels: labels(name) },
    spec: { maxUnavailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow', selector: { matchLabels: labels(name) } },
  }
}

function autoscaler(name: string) {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name, labels: labels(name) },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
      minReplicas: 2,
      // More replicas than lanes would have nothing to hear.
      maxReplicas: laneCount,
      metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } } }],
      // Each change of the number of replicas hands lanes over: seldom down, and never all at once.
      behavior: { scaleDown: { stabilizationWindowSeconds: 300, policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }] } },
    },
  }
}

// --- compose ---

/** The door of compose.yaml: the same prefixes as in the cluster. Of several that fit, Caddy takes the longest. */
function caddyfile(prefixes: ReadonlyMap<string, readonly string[]>): string {
  const places = [...prefixes].flatMap(([name, paths]) => paths.map((path) => ({ name, path })))
  const handles = places.map(({ name, path }) => `\thandle ${path}* {\n\t\treverse_proxy ${name}:8080\n\t}\n`)
  const nothing = JSON.stringify({ error: { code: 'not_found', message: 'There is nothing at this path.' } })
  const fallback = `\thandle {\n\t\theader Content-Type application/json\n\t\trespond \`${nothing}\` 404\n\t}\n`
  return `${heading('')}{\n\tadmin off\n}\n\n{$PARLEY_SITE} {\n${[...handles, fallback].join('')}}\n`
}

function heading(comment: string): string {
  const head = `Made by \`npm run generate\` from the service objects; scripts/generate/k8s.ts says how.\n${comment}`
  return head
    .trimEnd()
    .split('\n')
    .map((line) => `# ${line}\n`)
    .join('')
}

function print(documents: readonly object[], comment = ''): string {
  return `${heading(comment)}${documents.map((document) => `---\n${stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })}`).join('')}`
}
