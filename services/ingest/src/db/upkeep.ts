import type { JobRef } from '@parley/runtime'
import { z } from 'zod'

/** What the job forget-receipts is asked with; it stands apart from the job because opening the app asks for it too. */
export const forgetReceiptsRef = {
  name: 'forget-receipts',
  schema: z.strictObject({ after: z.uuid().nullable() }),
} satisfies JobRef<{ after: string | null }>
