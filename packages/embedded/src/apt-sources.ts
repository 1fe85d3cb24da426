import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A package archive that this machine's apt already uses; it is trusted by a keyring path, the key itself, or apt's defaults. */
export type AptSource = { uri: string; suites: string[]; components: string[]; signedBy: string | undefined }

const words = (text: string | undefined): string[] => text?.split(/\s+/).filter(Boolean) ?? []

/** Reads the archives in the one-line format and in deb822 (sources.list(5)), in file order. */
export function readAptSources(folder = '/etc/apt'): AptSource[] {
  const parts = join(folder, 'sources.list.d')
  const names = existsSync(parts) ? readdirSync(parts).sort() : []
  const files = [join(folder, 'sources.list'), ...names.map((name) => join(parts, name))].filter((file) => existsSync(file))
  return files.flatMap((file) => {
    if (file.endsWith('.list')) return parseOneLine(readFileSync(file, 'utf8'))
    return file.endsWith('.sources') ? parseDeb822(readFileSync(file, 'utf8')) : []
  })
}

/** "deb [signed-by=/path arch=amd64] uri suite components…", the options being optional. */
export function parseOneLine(text: string): AptSource[] {
  const found: AptSource[] = []
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)([^#]*)/.exec(line)
    if (!match?.[2] || !match[3]) continue
    const signedBy = /signed-by=(\S+)/.exec(match[1] ?? '')?.[1]
    found.push({ uri: match[2].replace(/\/$/, ''), suites: [match[3]], components: words(match[4]), signedBy })
  }
  return found
}

/** Paragraphs of "Field: value"; a value goes on in lines that begin with a space, which is how a key is given in place. */
export function parseDeb822(text: string): AptSource[] {
  return text.split(/\n\s*\n/).flatMap((paragraph) => {
    const fields = new Map<string, string>()
    const lines = paragraph.split('\n').filter((line) => !line.startsWith('#'))
    for (const field of lines.join('\n').matchAll(/^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)/gm)) {
      fields.set((field[1] ?? '').toLowerCase(), (field[2] ?? '').trimEnd())
    }
    if (!words(fields.get('types')).includes('deb') || fields.get('enabled')?.toLowerCase() === 'no') return []
    const shared = {
      suites: words(fields.get('suites')),
      components: words(fields.get('components')),
      signedBy: fields.get('signed-by'),
    }
    return words(fields.get('uris')).map((uri) => ({ uri: uri.replace(/\/$/, ''), ...shared }))
  })
}
