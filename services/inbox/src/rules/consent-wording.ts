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
    pt: 'Anotado: você não receberá mais mensagens nossas. Escreva START para voltar a recebê-las.',
    de: 'Notiert: Sie erhalten keine Nachrichten mehr von uns. Schreiben Sie START, um wieder welche zu erhalten.',
    it: 'Preso nota: non riceverà più messaggi da noi. Scriva START per riceverli di nuovo.',
    nl: 'Genoteerd: u ontvangt geen berichten meer van ons. Schrijf START om ze weer te ontvangen.',
    ar: 'تم التسجيل: لن تصلك رسائل منا بعد الآن. اكتب START لتلقيها من جديد.',
  },
  started: {
    fr: 'C’est noté : vous recevrez à nouveau nos messages. Écrivez STOP pour arrêter à tout moment.',
    en: 'Noted: you will receive our messages again. Write STOP to end them at any time.',
    es: 'Anotado: volverá a recibir nuestros mensajes. Escriba STOP para dejar de recibirlos en cualquier momento.',
    pt: 'Anotado: você voltará a receber as nossas mensagens. Escreva STOP para encerrá-las a qualquer momento.',
    de: 'Notiert: Sie erhalten wieder Nachrichten von uns. Schreiben Sie STOP, um sie jederzeit zu beenden.',
    it: 'Preso nota: riceverà di nuovo i nostri messaggi. Scriva STOP per interromperli in qualsiasi momento.',
    nl: 'Genoteerd: u ontvangt onze berichten weer. Schrijf STOP om ze op elk moment te beëindigen.',
    ar: 'تم التسجيل: ستصلك رسائلنا من جديد. اكتب STOP لإيقافها في أي وقت.',
  },
  erased: {
    fr: 'Votre demande est enregistrée : vos données personnelles sont effacées. Ceci est notre dernier message.',
    en: 'Your request is recorded: your personal data is being erased. This is our last message.',
    es: 'Su solicitud está registrada: sus datos personales se eliminan. Este es nuestro último mensaje.',
    pt: 'O seu pedido está registado: os seus dados pessoais estão a ser apagados. Esta é a nossa última mensagem.',
    de: 'Ihr Wunsch ist notiert: Ihre personenbezogenen Daten werden gelöscht. Dies ist unsere letzte Nachricht.',
    it: 'La sua richiesta è registrata: i suoi dati personali vengono cancellati. Questo è il nostro ultimo messaggio.',
    nl: 'Uw verzoek is genoteerd: uw persoonsgegevens worden gewist. Dit is ons laatste bericht.',
    ar: 'تم تسجيل طلبك: يتم حذف بياناتك الشخصية. هذه رسالتنا الأخيرة.',
  },
  erase_question: {
    fr: 'Souhaitez-vous effacer toutes vos données personnelles ? Si oui, répondez uniquement SUPPRIMER. Sinon, ignorez ce message.',
    en: 'Do you want all your personal data erased? If so, reply with nothing but SUPPRIMER. Otherwise ignore this message.',
    es: '¿Desea eliminar todos sus datos personales? Si es así, responda únicamente SUPPRIMER. Si no, ignore este mensaje.',
    pt: 'Deseja apagar todos os seus dados pessoais? Se sim, responda apenas SUPPRIMER. Caso contrário, ignore esta mensagem.',
    de: 'Möchten Sie alle Ihre personenbezogenen Daten löschen lassen? Wenn ja, antworten Sie nur mit SUPPRIMER. Sonst beachten Sie diese Nachricht nicht.',
    it: 'Desidera che tutti i suoi dati personali vengano cancellati? Se sì, risponda soltanto SUPPRIMER. Altrimenti ignori questo messaggio.',
    nl: 'Wilt u dat al uw persoonsgegevens worden gewist? Zo ja, antwoord alleen met SUPPRIMER. Negeer anders dit bericht.',
    ar: 'هل تريد حذف جميع بياناتك الشخصية؟ إذا كان نعم، فأجب بكلمة SUPPRIMER فقط. وإلا فتجاهل هذه الرسالة.',
  },
}
