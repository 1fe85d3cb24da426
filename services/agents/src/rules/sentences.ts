/** Why a fixed sentence is said instead of the model's own words. */
export type SentenceKind =
  | 'asked_for_person'
  | 'model_unsure'
  | 'model_failed'
  | 'budget_spent'
  | 'bot_loop'
  | 'customers_used_up'

export const languages = ['en', 'fr', 'es', 'ar'] as const
export type Language = (typeof languages)[number]

const unsure: Record<Language, string> = {
  en: 'Thank you for your message. A colleague will look into this and reply to you here.',
  fr: 'Merci pour votre message. Un collègue va regarder cela et vous répondra ici.',
  es: 'Gracias por su mensaje. Un compañero lo revisará y le responderá aquí.',
  ar: 'شكرا لرسالتك. سيطلع أحد الزملاء على الأمر ويرد عليك هنا.',
}

const busy: Record<Language, string> = {
  en: 'We have received your message. A colleague will reply to you here as soon as possible.',
  fr: 'Nous avons bien reçu votre message. Un collègue vous répondra ici dès que possible.',
  es: 'Hemos recibido su mensaje. Un compañero le responderá aquí lo antes posible.',
  ar: 'وصلتنا رسالتك. سيرد عليك أحد الزملاء هنا في أقرب وقت ممكن.',
}

const person: Record<Language, string> = {
  en: 'Of course. A colleague takes over here and will reply to you.',
  fr: 'Bien sûr. Un collègue prend le relais ici et vous répondra.',
  es: 'Por supuesto. Un compañero continúa aquí y le responderá.',
  ar: 'بالتأكيد. سيتولى أحد الزملاء المحادثة هنا ويرد عليك.',
}

const table: Record<SentenceKind, Record<Language, string>> = {
  asked_for_person: person,
  model_unsure: unsure,
  model_failed: busy,
  budget_spent: busy,
  bot_loop: busy,
  customers_used_up: busy,
}

/** A sentence that promises nothing but a person. It says the same whatever the customer or the model wrote. */
export function sentence(kind: SentenceKind, language: Language): string {
  return table[kind][language]
}

/** The first of these that we speak, else English. */
export function pickLanguage(...wishes: readonly (string | null | undefined)[]): Language {
  const spoken = wishes.flatMap((wish) => languages.filter((language) => language === wish))
  return spoken[0] ?? 'en'
}
