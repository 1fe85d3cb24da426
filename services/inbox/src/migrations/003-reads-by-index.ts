import type { Migration } from '@parley/runtime'

export const readsByIndex: Migration = {
  name: '003-reads-by-index',
  up: `
    -- A stream reads its own organization's events alone, however many the others have. The types are those of db/outbox.ts.
    create index outbox_stream on outbox (organization_id, xid, seq) where type in ('message.added', 'message.updated',
      'conversation.started', 'conversation.changed', 'conversation.handed_over', 'consent.changed', 'customer.erased');
    create index conversations_status on conversations (organization_id, status, last_message_at desc, id);
  `,
}
