import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openObjectStore } from './object-store.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'objects-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})
const open = () => openObjectStore(pathToFileURL(folder).href)

test('an object comes back as it went in, and is gone after removal', async () => {
  const store = await open()
  const bytes = Buffer.from([0, 255, 10, 13])
  expect(await store.put('recordings/org/a.mp3', bytes, { contentType: 'audio/mpeg' })).toMatchObject({ sizeBytes: 4 })
  expect(await store.get('recordings/org/a.mp3')).toEqual(bytes)
  await store.remove('recordings/org/a.mp3')
  expect(await store.get('recordings/org/a.mp3')).toBeUndefined()
})

test('a second writing replaces the first, and no draft is left behind', async () => {
  const store = await open()
  for (const text of ['one', 'two']) await store.put('recordings/org/a', Buffer.from(text), { contentType: 'text/plain' })
  expect(Buffer.from((await store.get('recordings/org/a')) ?? []).toString()).toBe('two')
  expect(await readdir(join(folder, 'recordings', 'org'))).toEqual(['a'])
})

test.each(['../secret', 'a/../../b', '/etc/passwd', 'a', 'a//b', 'a/b c', 'a/b\0'])(
  'a key that could leave its folder is refused: %j',
  async (key) => {
    const store = await open()
    await expect(store.put(key, Buffer.from('x'), { contentType: 'text/plain' })).rejects.toThrow(RangeError)
    await expect(store.get(key)).rejects.toThrow(RangeError)
  },
)

test('an address of another kind is refused', async () => {
  await expect(openObjectStore('ftp://somewhere')).rejects.toThrow('OBJECT_STORE_URL')
})
