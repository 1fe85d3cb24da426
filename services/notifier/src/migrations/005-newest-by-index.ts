import type { Migration } from '@parley/runtime'

export const newestByIndex: Migration = {
  name: '005-newest-by-index',
  up: `
    create index outgoing_messages_newest on outgoing_messages (organization_id, position);
  `,
}
