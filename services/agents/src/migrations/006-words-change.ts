import type { Migration } from '@parley/runtime'

export const wordsChange: Migration = {
  name: '006-words-change',
  up: `
-- Rises when the words change: a turn that read an earlier revision has not answered these. The words of a deleted message are ''.
alter table messages add column revision integer not null default 0;
`,
}
