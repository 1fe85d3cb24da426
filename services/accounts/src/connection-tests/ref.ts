import { Id } from '@parley/contracts'
import type { JobRef } from '@parley/runtime'
import { z } from 'zod'

const Schema = z.object({
  connectionId: Id,
  /** Tries that did not reach the provider, when this one was asked for: with another number it is out of date. */
  tries: z.int().min(0),
})

/** What the job test-connection is asked with; apart from the job, because what it leads to asks for it again. */
export const testConnectionRef = { name: 'test-connection', schema: Schema } satisfies JobRef<z.infer<typeof Schema>>
