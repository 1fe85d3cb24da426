import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where files live that do not fit an event or a row: recordings, attachments. */
export interface ObjectStore {
  /** Stores bytes under a key (`<organization>/<what>/<id>`), replacing what was there; resolves when they are durable. Limit 64 MiB. */
  put(key: string, bytes: Uint8Array, options: { contentType: string }): Promise<{ sha256: string; sizeBytes: number }>
  /** Resolves with undefined when there is nothing under the key. */
  get(key: string): Promise<Uint8Array | undefined>
  remove(key: string): Promise<void>
  close(): void
}

const largestBytes = 64 * 1024 * 1024
const keyPattern = /^[A-Za-z0-9_-]+(\/[A-Za-z0-9_.-]+){1,5}$/

/** Throws RangeError on a key that could leave its folder, or on too many bytes. */
export function checkObject(key: string, bytes?: Uint8Array): void {
  if (!keyPattern.test(key) || key.includes('..'))
    throw new RangeError('An object key is made of letters, digits, -, _ and . between slashes.')
  if (bytes && bytes.byteLength > largestBytes) throw new RangeError(`An object cannot exceed ${largestBytes} bytes.`)
}

export const objectDigest = (bytes: Uint8Array) => ({
  sha256: createHash('sha256').update(bytes).digest('hex'),
  sizeBytes: bytes.byteLength,
})

/** Objects as files of a folder: the default of one machine. A file appears whole or not at all. */
function openDiskStore(folder: string): ObjectStore {
  return {
    async put(key, bytes) {
      checkObject(key, bytes)
      const path = join(folder, key)
      await mkdir(dirname(path), { recursive: true })
      const draft = `${path}.${randomBytes(6).toString('hex')}.part`
      await writeFile(draft, bytes, { mode: 0o600, flush: true })
      await rename(draft, path)
      return objectDigest(bytes)
    },
    async get(key) {
      checkObject(key)
      try {
        return await readFile(join(folder, key))
      } catch (error) {
        if ((error as { code?: string }).code === 'ENOENT') return undefined
        throw error
      }
    },
    async remove(key) {
      checkObject(key)
      await rm(join(folder, key), { force: true })
    },
    close() {},
  }
}

/**
 * Opens the store that a URL names: `file:///folder`, or `s3://bucket?region=eu-west-3` with `endpoint=` for stores other than AWS.
 * Credentials come from the usual AWS environment. Throws TypeError on any other URL.
 */
export async function openObjectStore(url: string): Promise<ObjectStore> {
  const parsed = new URL(url)
  if (parsed.protocol === 'file:') return openDiskStore(fileURLToPath(parsed))
  if (parsed.protocol !== 's3:') throw new TypeError('OBJECT_STORE_URL must start with file:// or s3://.')
  // Loaded only here: the SDK is large, and one machine never needs it.
  const { openS3Store } = await import('./object-store-s3.ts')
  return openS3Store({
    bucket: parsed.hostname,
    region: parsed.searchParams.get('region') ?? 'us-east-1',
    endpoint: parsed.searchParams.get('endpoint') ?? undefined,
  })
}
