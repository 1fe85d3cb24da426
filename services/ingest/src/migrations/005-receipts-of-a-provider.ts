import type { Migration } from '@parley/runtime'

export const receiptsOfAProvider: Migration = {
  name: '005-receipts-of-a-provider',
  up: `
    create index receipts_provider on receipts (organization_id, provider, id);
  `,
}
