import { stringify } from 'yaml'
import { z } from 'zod'
import { laneCount } from '../../packages/contracts/src/index.ts'
import { ProcessConfig } from '../../packages/runtime/src/process-config.ts'
import type { Artifact } from './artifacts.ts'
import type { ServiceShape } from './services.ts'

/** Paths that a service answers outside its route list, because it needs the raw request (`plugin` of its service object). */
const rawPaths: Record<string, readonly string[]> = {
  ingest: ['/webhooks', '/functions/whatsapp-webhook', '/functions/v1/handle-call-webhook'],
  inbox: ['/v1/conversations/stream'],
}

/** What Kubernetes needs to know of a service. */
export interface Deployable extends ServiceShape {
  config: z.ZodType
  plugin?: unknown
}

/** The files of k8s/ that follow from the service list: a new service is deployed, reached and scaled, or the check fails. */
export function kubernetes(services: readonly ServiceShape[], version: string): Artifact[] {
  const all = services.map(deployable)
  const routes = assignPrefixes(all)
  return [
    { path: 'k8s/base/services.yaml', text: print(all.flatMap((service) => [deployment(service.name, version), service_(service.name)])) },
    { path: 'k8s/base/routes.yaml', text: print([...routes].map(([name, prefixes]) => httpRoute(name, prefixes))) },
    { path: 'k8s/base/secrets.example.yaml', text: print(all.map(exampleSecret), secretsHead) },
    { path: 'k8s/overlays/production/scaling.yaml', text: print(all.flatMap(({ name }) => [disruptionBudget(name), autoscaler(name)])) },
  ]
}

function deployable(service: ServiceShape): Deployable {
  if (!('config' in service && service.config instanceof z.ZodObject)) throw new TypeError(`${service.name} must declare its config as a z.object.`)
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

// --- which paths lead to which service ---

/**
 * The path prefixes of each service: routes up to their first parameter, without those that a shorter one covers. Throws TypeError
 * when two services answer below one prefix (a gateway could not tell them apart) or a plugin's paths are unknown here.
 */
export function assignPrefixes(services: readonly Pick<Deployable, 'name' | 'routes' | 'plugin'>[]): Map<string, string[]> {
  const owners = new Map<string, string>()
  for (const service of services) {
    const raw = rawPaths[service.name]
    if (service.plugin !== undefined && !raw) throw new TypeError(`${service.name} has a plugin: name its paths in scripts/generate/k8s.ts.`)
    const paths = service.routes.flatMap(({ path, also = [] }) => [path, ...also.map((place) => place.replace(/^\S+ /, ''))])
    for (const path of [...paths, `/v1/ops/${service.name}`, ...(raw ?? [])]) {
      const prefix = path.split('/:')[0] ?? ''
      if (!/^(\/[\w.-]+)+$/.test(prefix)) throw new TypeError(`${service.name}: '${path}' starts with no fixed part to route by.`)
      const owner = owners.get(prefix)
      if (owner !== undefined && owner !== service.name) {
        throw new TypeError(`${owner} and ${service.name} both answer below ${prefix}: a gateway routes by prefix, give one of them another.`)
      }
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

// A route may hold 16 rules of 64 matches; one rule per service is enough.
const mostMatches = 64

function httpRoute(name: string, prefixes: readonly string[]) {
  if (prefixes.length > mostMatches) throw new TypeError(`${name} answers below ${prefixes.length} prefixes; a gateway rule holds ${mostMatches}.`)
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

const secretsHead =
  'Which secrets there must be, with no values. Not part of the kustomization: make them with your own secret store.\n'

function exampleSecret({ name, config }: Deployable) {
  const wanted = [...databaseVariables, 'PARLEY_API_KEYS', ...variablesOf(config).flatMap((variable) => (variable.required ? [variable.name] : []))]
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `parley-${name}` },
    stringData: Object.fromEntries(wanted.map((variable) => [variable, ''])),
  }
}

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

function print(documents: readonly object[], comment = ''): string {
  const head = `Made by \`npm run generate\` from the service objects; scripts/generate/k8s.ts says how.\n${comment}`
  const lines = head.trimEnd().split('\n').map((line) => `# ${line}`)
  return `${lines.join('\n')}\n${documents.map((document) => `---\n${stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })}`).join('')}`
}
