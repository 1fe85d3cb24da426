import { describe, expect, test } from 'vitest'
import { consentCommand } from './consent-command.ts'

/** What people write, by language: that they want no more messages, and that they want something else. */
const sentences: Record<string, { stop: string; other: string }> = {
  English: {
    stop: `STOP | stop | Stop. | Stop please | STOP PLEASE | stop thanks | please stop | STOP STOP STOP | stop stop | STOOOP | S T O P | s.t.o.p | S-T-O-P |
      STOP SMS | STOP ALL | STOPALL | stop messages | END | QUIT | CANCEL | REVOKE | OPT OUT | opt-out | OPTOUT | UNSUBSCRIBE | unsubscribe me |
      unsubscribe please | 🛑 | 🛑🛑🛑 | ЅТОР | ꜱᴛᴏᴘ | 𝐒𝐓𝐎𝐏 | ＳＴＯＰ | ⓢⓣⓞⓟ | 🅂🅃🄾🄿 | 🇸🇹🇴🇵 | ST0P | 5TOP | leave me alone | Leave me alone! | please leave us alone |
      don't contact me | don't contact me anymore | do not contact me again | Don't text me | dont text me again | stop texting me | Stop messaging me please |
      please stop contacting me | stop sending me messages | stop sending me texts | don't send me messages | do not send me any more texts |
      no more messages | no more texts please | No more ads | stop spamming me | stop the spam | I don't want your messages | I do not want any more messages |
      I don't want to receive messages from you | I no longer wish to receive your messages | remove me from your list | take me off your list |
      take me off the mailing list | remove me | I want to unsubscribe | how do I unsubscribe? | never write to me again | never contact me again |
      stop writing to me | quit messaging me | stop it | stop this | I said stop | Stop. Do not write to me again. | Hi. Stop. Thanks. | please opt me out |
      cease all messages | stop bothering me | don't bother me anymore | stop calling me | don't ever text this number`,
    other: `stop at 5 pm? | non stop | non-stop | nonstop service? | stop by the shop | can I stop by tomorrow? | don't stop | don't stop sending me offers |
      please don't stop | stop 2 | the bus stop is near | which bus stop? | I can't stop laughing | cancel my order | please cancel order 12 |
      can I cancel? | can you cancel the delivery | when does the sale end? | the end of the week | at the end | I quit smoking | don't call me before 9 |
      please don't text the old number, it is my brother's | don't send me the red one | don't send the invoice yet | no message yet | I got no message |
      I did not receive your message | I don't want the red one | I don't want anything else, thanks | no more roses please | I want no more than 2 |
      do not add sugar | never mind | is the store open? | end date? | stop sign stickers | no thanks | nothing else | I have no more questions |
      how do I stop the machine? | do you stop orders at noon? | where is my order | thanks, all good`,
  },
  French: {
    stop: `stop svp | Stop merci | STOP s'il vous plaît | arrêt | ARRÊT | arrêtez | Arrêtez ! | arrêtez tout | arrêtez svp | stop à la pub | Je veux STOP | stop pub |
      stop aux messages | stop les sms | ne m'écrivez plus | Ne m'écrivez plus ! | ne m’écrivez plus jamais | n'écrivez plus | ne me contactez plus | ne me contactez plus svp |
      ne m'envoyez plus de messages | ne m'envoyez plus rien | n'envoyez plus de sms | arrêtez de m'écrire | arrêtez de m'envoyer des messages |
      arrête de m'envoyer des sms | cessez de me contacter | cessez vos messages | cessez de m'envoyer de la publicité | désabonnez-moi | désabonnez moi svp |
      je veux me désabonner | comment me désabonner ? | désinscription | désinscrivez-moi de votre liste | je souhaite me désinscrire | laissez-moi tranquille |
      laissez moi tranquille svp | fichez-moi la paix | foutez-moi la paix | lâchez-moi | plus de pub | plus de pub svp | pas de pub | plus de messages svp |
      plus aucun message | je ne veux plus de messages | je ne veux plus recevoir de messages | je ne souhaite plus recevoir vos messages | je ne veux plus de vos sms |
      je ne veux plus rien recevoir | je ne veux pas de pub | retirez-moi de votre liste | retirez-moi de la liste svp | enlevez-moi de vos contacts | retirez-moi |
      ne me dérangez plus | arrêtez de me déranger | ne m'appelez plus | arrêtez de me harceler | stop. ne m'écrivez plus | basta les messages`,
    other: `stop envoyez plutôt mardi | je ne peux pas m'arrêter de tousser | je m'arrête chez vous demain | arrêt de bus | à quel arrêt ? | vous arrêtez à quelle heure ? |
      n'arrêtez pas | n'arrêtez pas les promotions | annuler ma commande | annulez la commande 12 svp | je veux annuler | ne m'envoyez pas la facture |
      ne m'envoyez plus de roses rouges | ne m'appelez pas avant 9h | ne m'écrivez pas demain, je suis absent | je n'ai pas reçu de message | je n'ai plus de fleurs |
      plus de roses svp | je voudrais plus de sauce | pas de sel | je ne veux plus de tomates | je ne veux rien d'autre merci | rien d'autre | non merci |
      je n'ai pas compris votre message | pas de souci | stop ou encore ? | la livraison s'arrête quand ? | le produit est en arrêt ? | je ne veux pas de bouquet |
      bonjour | merci | c'est tout | vous avez plus de messages à lire ? | combien ?`,
  },
  Spanish: {
    stop: `baja | BAJA | baja por favor | dar de baja | darme de baja | quiero darme de baja | denme de baja de la lista | cancelar | cancelar suscripción | parar | pare | paren |
      paren por favor | basta | ya basta | no me escriban más | ya no me escriban | Ya no me escriban por favor | no me escriban | no me contacten | no me contacten más |
      dejen de escribirme | dejen de contactarme | deje de escribirme | dejen de enviarme mensajes | no me envíen más mensajes | no me manden mensajes |
      no me manden más nada | no envíen más mensajes | no quiero más mensajes | no quiero recibir más mensajes | ya no quiero recibir sus mensajes | no quiero publicidad |
      no más mensajes | no más publicidad | no mas sms | déjenme en paz | déjame en paz | quítenme de la lista | sáquenme de su lista | bórrenme de la lista |
      no me molesten | no me molesten más | dejen de molestarme | no me llamen más | dejen de llamarme | stop | stop por favor | STOP gracias | desuscribirme | quiero parar |
      basta de mensajes | nunca más me escriban | alto | salir`,
    other: `cancelar mi pedido | quiero cancelar el pedido 12 | ¿puedo cancelar? | la parada del autobús | ¿dónde paran? | no me envíen la factura todavía | no me llamen antes de las 9 |
      no me escriban mañana, no estoy | no recibí el mensaje | no he recibido mensajes | no quiero más rosas | no quiero nada más, gracias | nada más | no gracias |
      no entiendo el mensaje | ¿está de baja el producto? | el precio es más bajo | no dejen de escribirme | no pare | ¿leyeron mis mensajes? |
      hola | gracias | ¿a qué hora abren? | sin azúcar | no más sal | quiero el azul | ¿cuánto cuesta?`,
  },
  Portuguese: {
    stop: `sair | SAIR | sair por favor | cancelar | parar | parem | Parem! | pare | pare por favor | chega | chega de mensagens | stop | stop obrigado | descadastrar | me descadastrem |
      cancelar inscrição | quero sair da lista | me tirem da lista | me tire da lista por favor | me remova da lista | removam-me da lista | não me escrevam mais |
      não me escreva mais | não me contatem mais | não me contactem | não me mandem mais mensagens | não me mandem mensagens | não me enviem mais mensagens |
      parem de me mandar mensagens | parem de me escrever | parem de mandar mensagem | pare de me enviar mensagens | não quero mais mensagens |
      não quero mais receber mensagens | não quero receber mensagens | não quero publicidade | sem mais mensagens | chega de propaganda | me deixem em paz | deixem-me em paz |
      me deixe em paz | não me liguem mais | parem de me ligar | não me incomodem | não me incomodem mais | nunca mais me escrevam`,
    other: `cancelar o meu pedido | quero cancelar o pedido 12 | posso cancelar? | não me mandem a fatura ainda | não me liguem antes das 9 | não recebi a mensagem | não quero mais rosas |
      não quero mais nada, obrigado | mais nada | não obrigado | não parem | a que horas posso sair com a encomenda? | vou sair agora | onde posso parar o carro? |
      mais mensagens? | olá | obrigada | quanto custa? | sem açúcar | quero o azul | não entendi a mensagem | a loja abre hoje?`,
  },
  German: {
    stop: `Stopp | STOPP | Stop bitte | stop danke | abmelden | Abmelden! | abmelden bitte | bitte abmelden | ich möchte mich abmelden | abbestellen | Newsletter abbestellen | austragen |
      aufhören | widerrufen | schreiben Sie mir nicht mehr | Schreibt mir nicht mehr | bitte nicht mehr schreiben, lassen Sie mich in Ruhe | kontaktieren Sie mich nicht mehr | kontaktiert mich nie wieder |
      bitte keine Nachrichten mehr | keine Nachrichten mehr | keine Werbung | keine Werbung mehr bitte | keine SMS mehr | ich will keine Nachrichten mehr |
      ich möchte keine Nachrichten mehr erhalten | ich will keine Werbung | ich möchte keine Werbung mehr bekommen | hören Sie auf mir zu schreiben |
      hört auf mir Nachrichten zu schicken | schicken Sie mir keine Nachrichten mehr | schickt mir nichts mehr | senden Sie mir keine Werbung mehr |
      lassen Sie mich in Ruhe | lasst mich in Ruhe | lass mich in Ruhe | streichen Sie mich von der Liste | entfernen Sie mich aus Ihrer Liste | löschen Sie mich aus dem Verteiler |
      rufen Sie mich nicht mehr an | belästigen Sie mich nicht mehr | stören Sie mich nicht | nie wieder schreiben Sie mir | stoppen Sie das`,
    other: `Bestellung stornieren | bitte stornieren Sie meine Bestellung | wo ist die Haltestelle? | rufen Sie mich nicht vor 9 Uhr an | schicken Sie mir nicht die Rechnung |
      ich habe keine Nachricht erhalten | ich habe Ihre Nachricht nicht bekommen | ich möchte nichts anderes, danke | sonst nichts | nein danke | keine Rosen mehr? | ich will keine roten Rosen |
      hören Sie nicht auf | Ende der Woche | bis zum Ende | wann ist Schluss? | ohne Zucker | hallo | danke | was kostet das? | haben Sie noch mehr? | schreiben Sie mir morgen nicht, ich bin weg`,
  },
  Italian: {
    stop: `stop | stop per favore | Stop grazie | basta | basta messaggi | basta con i messaggi | disiscrivimi | disiscrivetemi | voglio disiscrivermi | cancellatemi dalla lista | cancellami |
      toglietemi dalla lista | rimuovetemi dalla lista per favore | non scrivetemi più | Non scrivetemi più! | non mi scrivete più | non mi scriva più | non contattatemi più | non mi contattate più |
      smettetela | smettetela di scrivermi | smettete di scrivermi | smettete di mandarmi messaggi | smettila di scrivermi | non mandatemi più messaggi | non inviatemi messaggi |
      non mi inviate più messaggi | non mi mandate più niente | non voglio più messaggi | non voglio ricevere messaggi | non voglio più ricevere i vostri messaggi | non voglio pubblicità |
      niente più messaggi | niente pubblicità | mai più messaggi | lasciatemi in pace | lasciami in pace | non chiamatemi più | smettete di chiamarmi | non disturbatemi |
      non disturbatemi più | non desidero più ricevere messaggi`,
    other: `annullare il mio ordine | vorrei annullare l'ordine 12 | posso annullare? | non chiamatemi prima delle 9 | non mandatemi la fattura | non ho ricevuto il messaggio | non voglio più rose |
      non voglio altro, grazie | nient'altro | no grazie | non ho capito il messaggio | fine settimana | alla fine | va bene fine | dove si ferma l'autobus? | quando finisce? | senza zucchero | ciao |
      grazie | quanto costa? | voglio quello blu | basta così, ho tutto nel carrello`,
  },
  Dutch: {
    stop: `stop | stop aub | Stop alstublieft | stop bedankt | stoppen | afmelden | Afmelden! | afmelden aub | ik wil me afmelden | uitschrijven | ik wil me uitschrijven | schrijf me uit: uitschrijven |
      stuur mij geen berichten meer | stuur me geen berichten meer | stuur niets meer | geen berichten meer | geen berichten meer aub | geen reclame | geen reclame meer | geen sms meer |
      ik wil geen berichten meer | ik wil geen berichten meer ontvangen | ik wil geen reclame | ik wil uw berichten niet meer | schrijf me niet meer | schrijf mij nooit meer |
      contacteer me niet meer | app me niet meer | stop met berichten sturen | stop met mij te appen | hou op met berichten | haal me van de lijst | haal mij van jullie lijst |
      verwijder me van de lijst | laat me met rust | laat mij met rust | bel me niet meer | bel mij nooit meer | val me niet meer lastig | stop ermee`,
    other: `bestelling annuleren | ik wil mijn bestelling annuleren | kan ik annuleren? | bel me niet voor 9 uur | stuur mij de factuur nog niet | ik heb geen bericht ontvangen |
      ik heb uw bericht niet ontvangen | ik wil niets anders, bedankt | verder niets | nee bedankt | geen rozen meer? | ik wil geen rode rozen | niet stoppen | bij welke halte? | einde van de week |
      zonder suiker | hallo | dank u | wat kost dat? | is de winkel open? | tot morgen | schrijf me morgen niet, ik ben weg`,
  },
  Arabic: {
    stop: `توقف | توقفوا | توقّفوا من فضلكم | إيقاف | أوقفوا الرسائل | اوقف | كفى | كفى رسائل | قف | الغاء الاشتراك | إلغاء الاشتراك من فضلك | الغ اشتراكي | لا ترسلوا لي | لا ترسلوا لي رسائل |
      لا ترسلوا لي أي رسائل | لا ترسل لي شيء | لا ترسلوا رسائل بعد اليوم | لا تراسلوني | لا تراسلوني بعد الآن | لا تكتبوا لي | لا تكتب لي أبدا | لا تتصلوا بي | لا تتصل بي مرة أخرى |
      لا أريد رسائل | لا أريد رسائلكم | لا اريد استقبال رسائل | لا أريد إعلانات | لا نريد رسائل | بدون إعلانات | اتركوني | اتركوني من فضلكم | دعوني | لا تزعجوني | توقفوا عن إزعاجي | توقفوا عن مراسلتي |
      توقفوا عن إرسال الرسائل | احذفوني من القائمة | ستوب STOP | stop من فضلك | safi | baraka | baraka mn messagat | ma tsiftoch liya messagat | mabghitch messagat | mabghitch pub | hbes | 7abes`,
    other: `إلغاء الطلب | أريد إلغاء طلبي | هل يمكنني إلغاء الطلب؟ | لا ترسلوا الفاتورة الآن قبل الدفع | لا تتصلوا بي قبل الساعة 9 | لم أستلم الرسالة | لم تصلني رسالة | لا أريد الورد الأحمر | لا أريد شيئا آخر شكرا |
      لا شكرا | أين موقف الحافلة؟ | متى ينتهي العرض؟ | مرحبا | شكرا | كم الثمن؟ | متى يصل التوصيل؟ | بدون سكر | لا تتوقفوا | bghit lblue | chhal taman | salam | choukran bzaf`,
  },
  'all of them, in words of their own': {
    stop: `Please cease contact | I don't wish to be contacted | please stop all communication | 
      stop emailing me | no more spam please | enough with the messages | delete me from your mailing list | 
      Stop it now! | just stop | STOP!!!! | stop sending these | 
      I never signed up for this, stop texting me | kindly unsubscribe me from this | 
      do not message this number again | can you please stop messaging me? | 
      would you stop sending me promotions | I don't want any promotional messages | 
      wrong number, please stop texting | Stop stop please | sToP | stop it please | 
      i want out of this list | arrêtez vos messages | arrêtez vos pubs | stop stop svp | 
      je ne veux plus être contacté | merci de ne plus m'écrire | merci de ne plus me contacter | 
      svp ne plus m'envoyer de sms | veuillez me désinscrire | j'en ai marre de vos messages | 
      plus de spam | ne plus me contacter | supprimez-moi de votre liste | 
      supprimez mon numéro de votre liste | arrêter les sms | stop whatsapp | je me désabonne | 
      veuillez cesser tout contact | c'est du harcèlement arrêtez | por favor no más publicidad | 
      deje de mandarme cosas | no me interesa, no me escriban | ya dejen de molestar | 
      favor de no contactarme | favor de no enviar más mensajes | eliminen mi número de su lista | 
      no deseo recibir promociones | por favor retírenme de la base de datos | 
      por favor parem de me enviar mensagens | não tenho interesse, não me mandem mais nada | 
      quero parar de receber mensagens | não desejo receber promoções | me exclua da lista | não perturbe | 
      ich möchte nicht mehr kontaktiert werden | bitte hören Sie auf | keine weiteren Nachrichten bitte | 
      nehmt mich aus der Liste | kein Interesse, bitte nicht mehr anschreiben | hört auf damit | 
      Schluss jetzt mit den Nachrichten | per favore non contattatemi | non voglio essere contattato | 
      basta pubblicità | smettete di inviarmi offerte | cancellate il mio numero dalla lista | 
      toglimi dalla lista | graag geen berichten | ik wil niet meer gecontacteerd worden | stop met appen | 
      hou op met mij te bellen | verwijder mijn nummer uit de lijst | schrijf mij uit | 
      ارجوكم توقفوا عن الرسائل | لا ترسلوا لي اعلانات | لا اريد ان تتواصلوا معي | لا تتواصلوا معي | 
      أوقفوا هذه الرسائل | ازيلوا رقمي من القائمة | ma tsiftou liya walo | safi baraka`,
    other: `stop the order please | please stop my delivery | I want to stop my subscription box | 
      send me no sauce please | can you call me? don't text | text me tomorrow | do not ring the bell | 
      please don't forget me tomorrow | no message on the card | no text on the card please | 
      I'll quit if you don't have it | I want to end the contract | cancel that, make it two | 
      when do you stop delivering? | I have stopped at your store | I'd like to remove one item | 
      take me to checkout | what's on the list? | remove it from the list | don't contact my neighbour | 
      call me | I'm not getting notifications in the app | did you send the message? | 
      unsubscribe discount? | no ads on the wrapping? | never mind, stop | my phone keeps spamming me | 
      ne mettez pas de message sur la carte | envoyez plus de photos | je veux plus de roses | 
      plus d'infos svp | ne m'oubliez pas demain | je ne reçois plus vos promos, pourquoi ? | 
      vous pouvez m'écrire en français | appelez-moi plus tard | arrêtez la livraison | 
      pouvez-vous retirer un article de la commande | je ne trouve plus la liste | 
      retirez le lait de ma liste | ne livrez pas avant midi | il n'y a plus de stock ? | 
      stop, je me suis trompé de taille | no llamen al timbre | no envíen el pedido todavía | 
      quiero parar la entrega | quiten las rosas de la lista | ya no quiero el azul | 
      me interesa, escríbanme | no tengo mensajes | não mandem o pedido | podem parar na portaria? | 
      não quero mais o azul | vou parar de fumar | bitte nicht klingeln | keine Nachricht auf die Karte | 
      nicht mehr auf Lager? | ich will nicht mehr warten | non mettete messaggi sul biglietto | 
      basta un mazzo | non suonate | ne voglio due | niet aanbellen | geen bericht op het kaartje | 
      stop de bestelling | اريد الغاء الحجز | لا ترسلوا الطلب اليوم | لا تضعوا رسالة على البطاقة | 
      واش باقي عندكم`,
  },
}

const rows = (text: string) => text.split('|').map((row) => row.trim())
const heeded = (text: string) => ['stop', 'maybe_stop'].includes(consentCommand(text).kind)

describe.each(Object.entries(sentences))('a stop in %s', (language, { stop, other }) => {
  const [wanted, unwanted] = [rows(stop), rows(other)]
  const missed = wanted.filter((text) => !heeded(text))
  const doubted = wanted.filter((text) => consentCommand(text).kind === 'maybe_stop')
  const obeyedWrongly = unwanted.filter((text) => consentCommand(text).kind === 'stop')
  const doubtedWrongly = unwanted.filter((text) => consentCommand(text).kind === 'maybe_stop')

  test('is heard in whatever words it is said', () => {
    const recall = 1 - missed.length / wanted.length
    console.log(
      `${language}: ${wanted.length} that say stop, recall ${recall.toFixed(2)} (${doubted.length} asked back); ` +
        `${unwanted.length} that do not, ${obeyedWrongly.length} obeyed, ${doubtedWrongly.length} asked back`,
    )
    expect(missed).toEqual([])
    // Plain words are obeyed, not passed on: a person may be hours away.
    expect(doubted.length / wanted.length).toBeLessThanOrEqual(0.05)
  })

  test('is not heard where somebody says something else', () => {
    expect(obeyedWrongly).toEqual([])
    expect(doubtedWrongly.length / unwanted.length).toBeLessThanOrEqual(0.15)
  })
})

test('the table is worth its name', () => {
  const count = Object.values(sentences).reduce((sum, { stop, other }) => sum + rows(stop).length + rows(other).length, 0)
  expect(count).toBeGreaterThanOrEqual(400)
})
