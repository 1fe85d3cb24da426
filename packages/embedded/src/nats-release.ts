import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keepInCache } from './nats-cache.ts'
import { run } from './process.ts'

const version = '2.11.8'

/**
 * SHA-256 of the release's archives, from its SHA256SUMS file. The two for Linux are also in the build of the official
 * images (nats-io/nats-docker, 2.11.x/alpine3.22/Dockerfile at 2.11.8); a wrong sum can only refuse a download.
 */
const sums: Record<string, string> = {
  'linux-amd64': '397a6deffb5533e160de0cca322bc3dcaec7fb7282d66a3dfa87a9c183152ad1',
  'linux-arm64': 'b08936cb1dc0ae7086137bda14c352df64397c4af45ed2b392705c19585aeb84',
  'darwin-amd64': '002c943c1ed39c55cc5e024debfc02685111fcb2b1cbd887aad39ac977037477',
  'darwin-arm64': '23e0c5354c2da385708946a21900c944fcb9a3bbfd02aae27a4ae750dea0b682',
}

/** Where the release cannot be reached it must fail at once: a better place may be next. */
const answerTimeoutMs = 4_000
const downloadTimeoutMs = 120_000
const maxBytes = 60_000_000

const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`
const stem = `nats-server-v${version}-${platform}`
const url = `https://github.com/nats-io/nats-server/releases/download/v${version}/${stem}.tar.gz`

/** What a person would type to get the same program. */
export const releaseCommand = (): string =>
  `curl -fsSL ${url} | sudo tar -xz --strip-components=1 -C /usr/local/bin ${stem}/nats-server`

/** Downloads the pinned official release into the cache and returns the program's path. */
export async function fromRelease(cacheFolder: string, log: (line: string) => void): Promise<string> {
  if (process.env['PARLEY_OFFLINE'] === '1') throw new Error('skipped, PARLEY_OFFLINE is 1')
  const expected = sums[platform]
  if (!expected) throw new Error(`there is none for ${platform}`)
  log(`Downloading nats-server ${version}.`)
  const archive = await download()
  const actual = createHash('sha256').update(archive).digest('hex')
  if (actual !== expected) throw new Error(`${url} has SHA-256 ${actual}, not ${expected}`)

  const work = mkdtempSync(join(tmpdir(), 'parley-nats-'))
  try {
    writeFileSync(join(work, 'archive.tar.gz'), archive)
    await run('tar', ['-xzf', 'archive.tar.gz', `${stem}/nats-server`], { cwd: work, timeoutMs: 30_000 })
    return keepInCache(join(work, stem, 'nats-server'), cacheFolder, version)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

async function download(): Promise<Buffer> {
  const stop = new AbortController()
  const answer = setTimeout(() => stop.abort(new Error(`no answer within ${answerTimeoutMs} ms`)), answerTimeoutMs)
  const whole = setTimeout(() => stop.abort(new Error(`not done within ${downloadTimeoutMs} ms`)), downloadTimeoutMs)
  try {
    const response = await fetch(url, { signal: stop.signal })
    clearTimeout(answer)
    if (!response.ok || !response.body) throw new Error(`${url} answered ${response.status}`)
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of response.body) {
      bytes += chunk.byteLength
      if (bytes > maxBytes) throw new Error(`${url} is larger than ${maxBytes} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } catch (error) {
    if (error instanceof TypeError && error.cause instanceof Error) throw new Error(error.cause.message, { cause: error })
    throw error
  } finally {
    clearTimeout(answer)
    clearTimeout(whole)
  }
}
