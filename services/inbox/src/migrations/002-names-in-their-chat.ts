import type { Migration } from '@parley/runtime'

export const namesInTheirChat: Migration = {
  name: '002-names-in-their-chat',
  up: `
    -- Who writes chooses the id of a message, so that another chat may have the same one: a name is unique in its conversation.
    create unique index messages_named on messages (organization_id, conversation_id, provider_message_id)
      where provider_message_id is not null;
    create index messages_provider on messages (organization_id, channel, account_id, provider_message_id)
      where provider_message_id is not null;
    do $$
    declare key text;
    begin
      select conname into strict key from pg_constraint where conrelid = 'messages'::regclass and contype = 'u' and cardinality(conkey) = 4;
      execute format('alter table messages drop constraint %I', key);
    end $$;
  `,
}
