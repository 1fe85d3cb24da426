import type { JobRef } from '@parley/runtime'
import { z } from 'zod'

/** What the job forget-old-sign-ins is asked with; it stands apart from the job because opening the app asks for it too. */
export const forgetOldSignInsRef = { name: 'forget-old-sign-ins', schema: z.object({}) } satisfies JobRef<Record<string, never>>
