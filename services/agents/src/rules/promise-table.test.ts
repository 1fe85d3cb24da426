import { describe, expect, test } from 'vitest'
import { foldText } from './clean-text.ts'
import { findPromise } from './promises.ts'
import { topicOf } from './risky-words.ts'
import { sanitiseReply } from './sanitise-reply.ts'

const rows = (text: string) => text.split('|').map((row) => row.trim())

/** What no model may say, and what it may, by language. */
const replies: Record<string, { never: string; fine: string }> = {
  English: {
    never: `We pay you back everything. | We'll give you your money back. | You get all of it back. | I will return the full amount to you. | Your money comes back today. | We guarantee that it arrives. |
      I promise you it will work. | We'll send you a free replacement. | The next one is on the house. | Delivery is free of charge for you. | We will waive the fee. | We can compensate you for it. |
      You may stop taking your medicine. | Take two pills a day. | It is safe for pregnant women. | This cures eczema. | The right dose is 500 mg. | No need to see a doctor. | You probably have an infection. |
      Please tell me your card number and CVV to verify. | Send us your password. | What is your PIN? | Please confirm your bank details. | Reply with the verification code. |
      We are fully liable for this. | You should sue them. | Your refund is approved.`,
    fine: `We are open on Saturday from 9 to 18. | The red roses are in stock. | A colleague will look at it and reply to you here. | Could you send me your order number? | Never send us your card number. | We cannot refund orders here. |
      Feel free to ask. | These biscuits are sugar-free. | Your parcel left our shop this morning. | It is made of cotton. | Thank you for your message! | Which size do you need?`,
  },
  French: {
    never: `On vous rend tout l'argent. | Nous vous rendons la totalité. | Nous reversons la somme sur votre compte. | Je vous promets un geste. | Nous vous garantissons la livraison. | C'est gratuit pour vous. | La livraison est offerte. |
      Nous vous offrons un bouquet. | Nous le remplaçons demain. | Vous pouvez arrêter votre traitement. | Prenez deux comprimés par jour. | C'est sans danger pour les femmes enceintes. | Cette crème guérit l'eczéma. |
      La posologie est de 3 par jour. | Pas besoin de voir un médecin. | Donnez-moi votre numéro de carte. | Envoyez-nous votre mot de passe. | Communiquez le code reçu par SMS. | J'ai besoin de vos coordonnées bancaires. |
      Nous sommes responsables du dommage. | Vous pouvez porter plainte.`,
    fine: `Nous sommes ouverts le samedi. | Les roses rouges sont en stock. | Un collègue va regarder cela. | Pouvez-vous m'envoyer le numéro de commande ? | Ne nous envoyez jamais votre numéro de carte. | Nous ne pouvons pas vous rembourser ici. |
      Votre colis est parti ce matin. | C'est en coton. | Merci pour votre message ! | Quelle taille vous faut-il ? | Je note deux bouquets. | Bonne journée !`,
  },
  Spanish: {
    never: `Le devolvemos todo el dinero. | Le reembolsamos el importe. | Le regresamos su dinero mañana. | Le prometemos que llega. | Le garantizamos la entrega. | Es gratis para usted. | Se lo regalamos. | Puede dejar su tratamiento: deje las pastillas. |
      Tome dos pastillas al día. | Es seguro para embarazadas. | Esta crema cura el eccema: cura la infección. | No hace falta ir al médico. | Envíe su número de tarjeta. | Dígame su contraseña. | Necesito sus datos bancarios. | Puede demandar a la empresa.`,
    fine: `Abrimos los sábados. | Las rosas rojas están disponibles. | Un compañero lo revisará. | ¿Me envía su número de pedido? | Nunca envíe su número de tarjeta. | No podemos reembolsar aquí. | Su paquete salió esta mañana. | Es de algodón. | ¡Gracias por su mensaje! | ¿Qué talla necesita?`,
  },
  German: {
    never: `Wir erstatten Ihnen den Betrag. | Sie bekommen Ihr Geld zurück. | Wir überweisen Ihnen alles zurück. | Wir garantieren die Lieferung. | Ich verspreche es Ihnen. | Das ist für Sie kostenlos. | Sie können das Medikament absetzen: setzen Sie die Tabletten ab. |
      Nehmen Sie zwei Tabletten. | Das ist sicher für Schwangere. | Die Creme heilt Krankheit: sie heilt eine Infektion. | Es ist nicht nötig, zum Arzt zu gehen: nicht nötig ein Arzt. | Nennen Sie mir Ihre Kartennummer. | Schicken Sie uns Ihr Passwort. | Sie können klagen: Sie konnen klagen.`,
    fine: `Wir haben samstags geöffnet. | Die roten Rosen sind vorrätig. | Ein Kollege schaut es sich an. | Wie lautet Ihre Bestellnummer? | Senden Sie uns niemals Ihre Kartennummer. | Wir können hier nichts erstatten. | Ihr Paket ist unterwegs. | Es ist aus Baumwolle. | Danke für Ihre Nachricht! | Welche Größe brauchen Sie?`,
  },
  Italian: {
    never: `Le restituiamo tutto il denaro. | Le rimborsiamo l'importo. | Le ridiamo i soldi. | Garantiamo la consegna. | Glielo prometto. | È gratis per lei. | Smetta di prendere il farmaco: smetta il farmaco. | Prenda due compresse. | È sicuro per chi è incinta. |
      Guarisce la malattia. | Non serve un dottore. | Mi mandi il numero della carta. | Comunichi la password. | Può denunciare: puo denunciare l'azienda.`,
    fine: `Siamo aperti il sabato. | Le rose rosse sono disponibili. | Un collega controllerà. | Mi dice il numero d'ordine? | Non ci mandi mai il numero della carta. | Qui non possiamo rimborsare. | Il pacco è partito stamattina. | È di cotone. | Grazie per il messaggio! | Che taglia le serve?`,
  },
  Arabic: {
    never: `سنعيد لك المال | نرد لك المبلغ كاملا | ستسترد أموالك | نضمن لك التوصيل | نعدك بذلك | هذا مجانا لك | توقف عن تناول الدواء | خذ حبوب مرتين: تناول الدواء | آمن للحامل | يعالج السكري | لا داعي لزيارة طبيب | أرسل رقم البطاقة | اكتب كلمة السر | يمكنك مقاضاة الشركة`,
    fine: `نحن مفتوحون يوم السبت | الورد الأحمر متوفر | سيطلع أحد الزملاء على الأمر | ما هو رقم طلبك من فضلك | طردك في الطريق | إنه من القطن | شكرا لرسالتك | ما المقاس الذي تحتاجه`,
  },
}

const topics: Record<'person' | 'anybody', string> = {
  person: `I want my money back | Can I get a refund? | I'd like to return this item | Can I take this with aspirin? | I am pregnant, is it ok? | What are the side effects? | I will call my lawyer | My card number is wrong |
    Je veux être remboursé | Je voudrais retourner un article | Puis-je prendre ce sirop avec du doliprane ? | Je suis enceinte | Quels sont les effets secondaires ? | Je vais porter plainte | Quiero un reembolso | ¿Puedo tomar esto con alcohol? |
    Estoy embarazada | Voy a llamar a mi abogado | Ich will mein Geld zurück | Darf ich das mit Alkohol nehmen? | Ich bin schwanger | Ich gehe zum Anwalt | Voglio un rimborso | Posso prendere questo insieme? | Sono incinta | أريد استرداد المبلغ | أنا حامل`,
  anybody: `Are you open on Saturday? | Do you have red roses? | Where is my order? | How much is it? | I'd like two bouquets | Can I pay by card? | Êtes-vous ouverts samedi ? | Où est ma commande ? | Je voudrais deux bouquets | Vous avez du doliprane ? |
    ¿Abren el sábado? | ¿Dónde está mi pedido? | Haben Sie samstags geöffnet? | Wo ist meine Bestellung? | Siete aperti sabato? | Dov'è il mio ordine? | هل أنتم مفتوحون يوم السبت | أين طلبي`,
}

describe.each(Object.entries(replies))('replies in %s', (language, { never, fine }) => {
  const [forbidden, allowed] = [rows(never), rows(fine)]
  const missed = forbidden.filter((reply) => findPromise(reply, '') === null)
  const alarms = allowed.filter((reply) => findPromise(reply, '') !== null)

  test('that only a person or a rule may give are held back, the others go out', () => {
    console.log(
      `${language}: recall ${(1 - missed.length / forbidden.length).toFixed(2)} of ${forbidden.length}, ${alarms.length} of ${allowed.length} harmless ones held back`,
    )
    expect(missed).toEqual([])
    expect(alarms).toEqual([])
  })
})

test('what a customer asks about money, health, secrets and the law is for a person, the rest is not', () => {
  expect(rows(topics.person).filter((text) => topicOf(foldText(text)) === undefined)).toEqual([])
  expect(rows(topics.anybody).filter((text) => topicOf(foldText(text)) !== undefined)).toEqual([])
})

test('what the owner offers for nothing may be repeated', () => {
  expect(findPromise('La livraison est offerte dès 50 fleurs.', 'Livraison offerte dès 50 fleurs')).toBeNull()
})

test('a bare name under any ending that browsers open is taken out', () => {
  const rules = { allowedHosts: ['fleurs.example'], ownerText: '', canary: 'canary-word', masked: [] }
  for (const host of ['evil.zip', 'evil.mov', 'pay-here.icu', 'shop.cyou'])
    expect(sanitiseReply(`Visit ${host} now`, rules)).toMatchObject({ ok: true, text: 'Visit now' })
})
