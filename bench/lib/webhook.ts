export const channelId = 'BENCH-0001'

/** A text message as Whapi delivers it (providers.md §1), each with an id and a chat of its own. */
export const textWebhook = (words: string): string =>
  JSON.stringify({
    messages: [
      {
        id: 'bench{{n}}-gBENCH',
        from_me: false,
        type: 'text',
        chat_id: '33{{n}}@s.whatsapp.net',
        timestamp: '{{now}}',
        source: 'mobile',
        device_id: 0,
        chat_name: 'Camille Laurent',
        text: { body: words },
        from: '33{{n}}',
        from_name: 'Camille Laurent',
      },
    ],
    event: { type: 'messages', event: 'post' },
    channel_id: channelId,
  }).replaceAll('"{{now}}"', '{{now}}')
