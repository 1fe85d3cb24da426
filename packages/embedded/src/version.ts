/** A server's version as three numbers; a pre-release tag such as "-RC.1" is ignored. */
export type Version = readonly [major: number, minor: number, patch: number]

/** Finds the first x.y.z in a text such as "nats-server: v2.10.27"; undefined when there is none. */
export function parseVersion(text: string): Version | undefined {
  const found = /(\d+)\.(\d+)\.(\d+)/.exec(text)
  return found ? [Number(found[1]), Number(found[2]), Number(found[3])] : undefined
}

/** Negative when a is older than b, zero when equal, positive when newer. */
export function compareVersions(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2]
}

export const formatVersion = (version: Version): string => version.join('.')
