export const channelId = 'BENCH-0001'

/** A greeting from a customer whom nobody has met before: the simulated model answers it itself. */
export const greetingBody = JSON.stringify({
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
      text: { body: 'Hello, good morning to you!' },
      from: '33{{n}}',
      from_name: 'Camille Laurent',
    },
  ],
  event: { type: 'messages', event: 'post' },
  channel_id: channelId,
}).replaceAll('"{{now}}"', '{{now}}')

/** The number in a chat's id that `greetingBody` was made with. */
export const numberOfChat = (chatId: string) => Number(chatId.split('@')[0]?.slice(2))
