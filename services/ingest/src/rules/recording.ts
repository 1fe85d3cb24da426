/** A recording that came inside JSON, taken out of it. */
export interface Recording {
  base64: string
  /** The body without the audio. */
  reduced: unknown
}

/** ElevenLabs sends a call's audio as base64 in `data.full_audio` (providers.md §5). Undefined when the body holds none. */
export function takeRecording(body: unknown): Recording | undefined {
  if (!isObject(body) || body['type'] !== 'post_call_audio' || !isObject(body['data'])) return undefined
  const { full_audio: base64, ...rest } = body['data']
  if (typeof base64 !== 'string' || base64 === '') return undefined
  return { base64, reduced: { ...body, data: rest } }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
