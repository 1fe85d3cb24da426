import type { Migration } from '@parley/runtime'

export const quotes: Migration = {
  name: '007-quotes',
  up: `
-- What a message answers to, as it read when it was quoted: the message itself may be forgotten here.
alter table messages add column quoted_message_id uuid;
alter table messages add column quote text check (length(quote) <= 1000);
`,
}
