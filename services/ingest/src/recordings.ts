import type { StoredObject } from '@parley/providers/webhook'
import { AppError } from '@parley/runtime'
import { takeRecording } from './rules/recording.ts'

/** Writes an object whole, or throws. Writing the same key again replaces it with the same bytes. */
export type PutObject = (object: { key: string; bytes: Buffer; mimeType: string }) => Promise<void>

/**
 * Moves a call's recording out of its delivery into object storage, and gives the body that is left. Without a storage the body
 * stays whole, the receipt keeps it, and it can be replayed once there is one. Throws AppError `unavailable` when the storage
 * fails: the audio must not be lost behind a 200.
 */
export async function storeRecording(
  put: PutObject | undefined,
  delivery: { organizationId: string; receiptId: string; body: unknown },
): Promise<{ body: unknown; storedObject: StoredObject } | undefined> {
  const recording = put === undefined ? undefined : takeRecording(delivery.body)
  if (put === undefined || recording === undefined) return undefined
  const bytes = Buffer.from(recording.base64, 'base64')
  const object = { key: `${delivery.organizationId}/recordings/${delivery.receiptId}.mp3`, mimeType: 'audio/mpeg' }
  try {
    await put({ ...object, bytes })
  } catch (cause) {
    throw new AppError('unavailable', 'The recording cannot be stored right now. Try again.', { cause })
  }
  return { body: recording.reduced, storedObject: { ...object, sizeBytes: bytes.length } }
}
