import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { checkObject, objectDigest, type ObjectStore } from './object-store.ts'

export interface S3Options {
  bucket: string
  region: string
  /** For stores other than AWS; addressed by path. */
  endpoint?: string | undefined
}

/** Objects in S3 or anything that speaks it. */
export function openS3Store(options: S3Options): ObjectStore {
  const client = new S3Client({
    region: options.region,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint, forcePathStyle: true }),
    // The SDK's default checksums corrupt streamed uploads on some other stores (dependencies: s3rver, 300,054 bytes for 300,000).
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 3,
    requestHandler: { connectionTimeout: 3_000, requestTimeout: 15_000 },
  })
  return {
    async put(key, bytes, { contentType }) {
      checkObject(key, bytes)
      await client.send(new PutObjectCommand({ Bucket: options.bucket, Key: key, Body: bytes, ContentType: contentType }))
      return objectDigest(bytes)
    },
    async get(key) {
      checkObject(key)
      try {
        const found = await client.send(new GetObjectCommand({ Bucket: options.bucket, Key: key }))
        return await found.Body?.transformToByteArray()
      } catch (error) {
        if ((error as { name?: string }).name === 'NoSuchKey') return undefined
        throw error
      }
    },
    async remove(key) {
      checkObject(key)
      await client.send(new DeleteObjectCommand({ Bucket: options.bucket, Key: key }))
    },
    close: () => client.destroy(),
  }
}
