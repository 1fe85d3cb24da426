import { Id } from '@parley/contracts'
import type { JobRef } from '@parley/runtime'
import { z } from 'zod'

const Schema = z.object({
  connectionId: Id,
  /** Tries that did not reach the provider, when this one was asked for: with another number it is out of date. */
  tries: z.int().min(0),
  /** A service was refused, and we look into it. */
  reported: z.boolean().default(false),
})

/** What the job test-connection is asked with; apart from the job, because what it leads to asks for it again. */
export const testConnectionRef = { name: 'test-connection', schema: Schema } satisfies JobRef<z.output<typeof Schema>>
