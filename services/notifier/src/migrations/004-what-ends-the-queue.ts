import type { Migration } from '@parley/runtime'

export const whatEndsTheQueue: Migration = {
  name: '004-what-ends-the-queue',
  up: `
    -- A stop ends what is queued for a customer, whatever the chat.
    create index outgoing_messages_customer on outgoing_messages (organization_id, customer_id) where state in ('queued', 'sending');
  `,
}
