import type { CommandLanguage } from './consent-command.ts'

export type ConsentNotice = 'stopped' | 'started' | 'erased' | 'erase_question'

/** What a customer is told after a consent command: fixed words, because no model may phrase a legal confirmation. */
export function consentWording(notice: ConsentNotice, language: CommandLanguage): string {
  return wordings[notice][language]
}

const wordings: Record<ConsentNotice, Record<CommandLanguage, string>> = {
  stopped: {
    fr: 'C’est noté : vous ne recevrez plus de messages de notre part. Écrivez START pour en recevoir à nouveau.',
    en: 'Noted: you will receive no more messages from us. Write START to receive them again.',
    es: 'Anotado: no recibirá más mensajes nuestros. Escriba START para volver a recibirlos.',
    ar: 'تم التسجيل: لن تصلك رسائل منا بعد الآن. اكتب START لتلقيها من جديد.',
  },
  started: {
    fr: 'C’est noté : vous recevrez à nouveau nos messages. Écrivez STOP pour arrêter à tout moment.',
    en: 'Noted: you will receive our messages again. Write STOP to end them at any time.',
    es: 'Anotado: volverá a recibir nuestros mensajes. Escriba STOP para dejar de recibirlos en cualquier momento.',
    ar: 'تم التسجيل: ستصلك رسائلنا من جديد. اكتب STOP لإيقافها في أي وقت.',
  },
  erased: {
    fr: 'Votre demande est enregistrée : vos données personnelles sont effacées. Ceci est notre dernier message.',
    en: 'Your request is recorded: your personal data is being erased. This is our last message.',
    es: 'Su solicitud está registrada: sus datos personales se eliminan. Este es nuestro último mensaje.',
    ar: 'تم تسجيل طلبك: يتم حذف بياناتك الشخصية. هذه رسالتنا الأخيرة.',
  },
  erase_question: {
    fr: 'Souhaitez-vous effacer toutes vos données personnelles ? Si oui, répondez uniquement SUPPRIMER. Sinon, ignorez ce message.',
    en: 'Do you want all your personal data erased? If so, reply with nothing but SUPPRIMER. Otherwise ignore this message.',
    es: '¿Desea eliminar todos sus datos personales? Si es así, responda únicamente SUPPRIMER. Si no, ignore este mensaje.',
    ar: 'هل تريد حذف جميع بياناتك الشخصية؟ إذا كان نعم، فأجب بكلمة SUPPRIMER فقط. وإلا فتجاهل هذه الرسالة.',
  },
}
