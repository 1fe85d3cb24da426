import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ServiceName, World } from './world.ts'

/** The memory of one process, as a container's limit holds it. */
export interface MemoryGroup {
  service: ServiceName
  usedBytes(): number
  /** Of the group's processes, when any is left. */
  pids(): number[]
  limit(bytes: number): void
}

export interface MemoryGroups {
  /** One for each process that was started since. */
  groups: readonly MemoryGroup[]
  /** Lets the processes that are left go on without a limit. */
  close(): void
}

/** The two versions of the kernel's interface (cgroups(7)); what differs between them. */
interface Kind {
  parent: string
  limit: string
  used: string
}

function findKind(): Kind | undefined {
  const own = readFileSync('/proc/self/cgroup', 'utf8')
  const [, path] = /^\d+:memory:(.*)$/m.exec(own) ?? []
  if (path !== undefined)
    return { parent: join('/sys/fs/cgroup/memory', path), limit: 'memory.limit_in_bytes', used: 'memory.usage_in_bytes' }
  // A group with processes of its own passes no controller on: only the root does in version 2.
  const root = '/sys/fs/cgroup'
  const passedOn = join(root, 'cgroup.subtree_control')
  if (existsSync(passedOn) && readFileSync(passedOn, 'utf8').includes('memory'))
    return { parent: root, limit: 'memory.max', used: 'memory.current' }
  return undefined
}

/** Why no memory limit can be set here; undefined when it can. */
export function whyNoLimits(): string | undefined {
  try {
    const kind = findKind()
    if (!kind) return 'no control group of this machine limits memory'
    const probe = join(kind.parent, `parley-probe-${process.pid}`)
    mkdirSync(probe)
    rmdirSync(probe)
    return undefined
  } catch (error) {
    return `no memory limit can be set here: ${(error as Error).message}`
  }
}

/** From now on each process of a service is started in a group of its own that may take this much memory, and is killed beyond it. */
export function limitMemory(world: World, bytes: number): MemoryGroups {
  const kind = findKind()
  if (!kind) throw new Error('There is no memory controller.')
  const { parent, limit, used } = kind
  const groups: (MemoryGroup & { folder: string })[] = []
  world.launchUnder((service) => {
    const folder = join(parent, `parley-${process.pid}-${groups.length}`)
    mkdirSync(folder)
    writeFileSync(join(folder, limit), String(bytes))
    groups.push({
      service,
      folder,
      usedBytes: () => Number(readFileSync(join(folder, used), 'utf8')),
      pids: () => readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number),
      limit: (wanted) => writeFileSync(join(folder, limit), String(wanted)),
    })
    // The process is in its group before it has taken any memory, and knows its limit when it sizes its heap.
    return ['/bin/sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', folder]
  })
  return {
    groups,
    close() {
      world.launchUnder(undefined)
      for (const group of groups) {
        for (const pid of group.pids()) writeFileSync(join(parent, 'cgroup.procs'), String(pid))
        rmdirSync(group.folder)
      }
    },
  }
}

/** The most memory that a process ever had in use, in bytes; undefined when it is gone. */
export function peakBytes(pid: number): number | undefined {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  } catch {
    return undefined // It has ended.
  }
}
