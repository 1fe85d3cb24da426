/**
 * What a reply may only say when a rule or a person says it, and what a customer may only be answered about by one: money that goes back,
 * health, card data, the law. On folded text (`foldText`). Every gap is bounded, so a pattern reads a text once.
 */

const gap = (most: number) => `[^.!?\\n]{0,${most}}?`
const any = (words: string) => `(?:${words})`
const pattern = (...parts: string[]) => new RegExp(`(?<![\\p{L}\\p{N}])${parts.join('')}(?![\\p{L}\\p{N}])`, 'gu')

const money = any(
  'money|everything|amount|price|cost|sum|payment|funds|cash|all of it|total|' +
    'argent|somme|montant|tout|totalite|amount|integralite|prix|sous|achat|' +
    'dinero|importe|todo|total|cantidad|pago|plata|compra|dinheiro|valor|tudo|' +
    'geld|betrag|alles|summe|kaufpreis|preis|soldi|denaro|importo|tutto|somma|prezzo|' +
    'المال|مال|اموال|اموالك|مالك|المبلغ|مبلغ|نقودك|النقود|فلوسك|الفلوس|كل شيء|الثمن',
)
const givesBack = any(
  'pay|pays|paying|give|giving|return|returning|transfer|transferring|wire|get|hand|send|put|' +
    'rend|rends|rendons|rendra|rendrons|rendrai|rembours\\w*|revers\\w*|restitu\\w*|redonn\\w*|recredit\\w*|vir(?:ons|erons|era|e)|pa(?:yons|yerons|ierons|ie)|vers(?:ons|erons|era|e)|' +
    'devolv\\w*|devuelv\\w*|reembols\\w*|regres\\w*|abon\\w*|pagamos|pagaremos|estorn\\w*|' +
    'erstatt\\w*|uberweis\\w*|zahlen|bekommen|erhalten|gutschreib\\w*|' +
    'restitui\\w*|rimbors\\w*|ridar\\w*|ridiamo|rendiamo|accredit\\w*|paghiamo|pagheremo|' +
    'نعيد|سنعيد|نرد|سنرد|نرجع|سنرجع|ندفع|سندفع|تسترد|ستسترد|ستستعيد|نعوضك|سنعوضك',
)

/** Money that goes back, things that cost nothing, and guarantees: whoever reads them will want them kept. */
export const moneyPromises: readonly RegExp[] = [
  pattern(any('pay|give|send|transfer|wire|get|hand|return'), gap(40), money, gap(25), 'back'),
  pattern(money, gap(12), any('back|zuruck')),
  pattern(any('we|i|you'), `(?:'ll| will| shall| can)? ?`, any('pay|give|get'), ' (?:you )?back'),
  pattern(givesBack, gap(40), money, gap(20), any('back|zuruck|a vous|a usted|indietro')),
  pattern(
    any(
      'rend|rends|rendons|rendra|rendrons|rendrai|rembours\\w*|revers\\w*|return(?: you)?(?: the)? full|restitu\\w*|redonn\\w*|recredit\\w*|regres(?:amos|aremos|o)|devolv\\w*|devuelv\\w*|reembols\\w*|estorn\\w*|erstatt\\w*|rimbors\\w*|restitui\\w*|ridiamo|ridar\\w*|نعيد|سنعيد|نرد|سنرد|نرجع|سنرجع|تسترد|ستسترد|ستستعيد',
    ),
    gap(40),
    money,
  ),
  pattern(
    money,
    gap(40),
    any(
      'rembours\\w*|restitu\\w*|devuelt\\w*|reembolsad\\w*|estornad\\w*|erstattet|rimborsat\\w*|restituit\\w*|refunded|returned|credited',
    ),
  ),
  pattern(
    any('we|i|nous|je|on|nosotros|wir|ich|noi|io'),
    `(?:'ll)? ?`,
    any('guarantee|promise|swear|assure|will cover|cover'),
    gap(30),
    any('you|that|it|the|this'),
  ),
  pattern(any('nous|je|on'), ' (?:vous )?', any('garantis\\w*|promets|promettons|jurons|offrons|offre')),
  pattern(any('garantizamos|prometemos|garantizo|prometo|regalamos|regalo')),
  pattern(
    any(
      'garantimos|prometemos|garanto|prometo|damos de graca|garantieren|versprechen|verspreche|garantiere|schenken|garantiamo|promettiamo|prometto|garantisco|regaliamo|نضمن|نعدك|اعدك',
    ),
  ),
  pattern(
    any('we|i'),
    `(?:'ll| will| can)? ?`,
    any('replace|waive|reship|resend|compensate|make it up to'),
    gap(30),
    any('you|it|the|your|free|fee|fees|cost'),
  ),
  pattern(
    any('nous|je|on'),
    ' (?:vous )?(?:le |la |les |l )?',
    any('remplac(?:ons|erons|erai|e)|dedommag\\w*|compens(?:ons|erons|e)|renv(?:oyons|errons)'),
    gap(30),
  ),
]

/** Things for nothing; the owner's own "free delivery from 50 €" may be repeated. */
export const freeWords =
  /(?<![\p{L}\p{N}-])(?:for free|free of charge|at no cost|at no charge|on the house|on us|complimentary|free (?:gift|delivery|shipping|item|replacement|return|product|sample)s?|gratuite?s?|gratuitement|offerte?s?|sans frais|a nos frais|cadeau|gratis|de graca|sin coste|sin costo|de regalo|kostenlos|umsonst|geschenkt|gratuit[oaie]|omaggio|in regalo|مجانا|مجاني|مجانية|هدية)(?![\p{L}\p{N}])/gu

const medicine = any(
  'medic\\w*|medecine\\w*|drugs?|pills?|tablets?|antibiotic\\w*|antidepress\\w*|insulin\\w*|treatment|prescription|' +
    'medicaments?|traitement|comprimes?|gelules?|antibiotiques?|ordonnance|' +
    'medicament\\w*|tratamiento|pastillas?|antibiotico\\w*|remedios?|tratamento|' +
    'medikament\\w*|tabletten?|antibiotika|medizin|behandlung|' +
    'farmac\\w*|compress[ae]|antibiotic\\w*|cura|terapia|medicinal\\w*|' +
    'الدواء|دواء|دوائك|ادويتك|العلاج|علاجك|حبوب|المضاد',
)
/** Advice that a doctor or a pharmacist gives. */
export const healthAdvice: readonly RegExp[] = [
  pattern(
    any(
      'stop|skip|quit|pause|halve|double|increase|reduce|change|arret\\w*|cess\\w*|augment\\w*|diminu\\w*|doubl\\w*|deje|deja|suspenda|suspender|aumente|reduzca|pare|parar|absetzen|setzen|verdoppeln|smett\\w*|sospend\\w*|aument\\w*|توقف|اوقف|زد|قلل',
    ),
    gap(30),
    medicine,
  ),
  pattern(
    any('take|taking|prenez|prends|prendre|tome|tomar|toma|nehmen|nimm|prenda|prendi|prendere|تناول|خذ|خذي'),
    gap(25),
    any(
      `${medicine}|\\d+ ?(?:mg|ml|g|x|times?|fois|veces|vezes|mal|volte)|(?:une?|one|two|deux|dos|zwei|due) (?:pills?|tablets?|comprimes?|pastillas?|tabletten?|compresse)`,
    ),
  ),
  pattern(
    any('dose|doses|dosage|posologie|dosis|dosierung|dosaggio|الجرعة|جرعة'),
    gap(25),
    any('is|est|es|ist|e|of|de|von|di|\\d+'),
  ),
  pattern(
    any('safe|harmless|sans danger|sans risque|seguro|segura|sicher|unbedenklich|sicuro|sicura|امن|امنة'),
    gap(30),
    any(
      'pregnan\\w*|breastfeed\\w*|enceinte\\w*|allait\\w*|embaraz\\w*|gravid\\w*|schwanger\\w*|incinta|allatt\\w*|bab\\w*|children|enfants?|ninos|kinder|bambini|medic\\w*|الحامل|للحامل|حامل|الرضيع',
    ),
  ),
  pattern(
    any('cures?|heals?|guerit|guerira|soigne|cura|heilt|guarisce|يشفي|يعالج'),
    gap(25),
    any(
      'cancer|diabet\\w*|infection\\w*|eczema|eccema|ekzem|asthma?\\w*|depress\\w*|covid|acne|psoriasis|disease|maladie|enfermedad|krankheit|malattia|المرض|السكري|السرطان',
    ),
  ),
  pattern(
    any(
      'you (?:have|probably have|may have|seem to have)|vous avez (?:probablement |sans doute )?|tiene usted|sie haben|ha (?:probabilmente )?',
    ),
    gap(15),
    any('infection\\w*|allerg\\w*|diabet\\w*|covid|grippe|flu|angine|eczema|infezione|infeccion|entzundung'),
  ),
]

/** Advice against seeing somebody who knows; its "no" is the advice. */
export const noDoctor: readonly RegExp[] = [
  pattern(
    any('no need|not necessary|unnecessary|pas besoin|inutile|no hace falta|nao precisa|nicht notig|non serve|لا داعي'),
    gap(25),
    any('doctor|physician|medecin|pharmacien|medico|arzt|medic[oa]|dottore|طبيب'),
  ),
]

const secret = any(
  'card (?:number|details|data|info\\w*)|credit card|debit card|cvv2?|cvc|security code|expir\\w+ date|pin(?: code)?|passwords?|passcodes?|one[- ]time (?:code|password)|otp|verification code|iban|bank (?:details|account)|account number|login|' +
    '(?:numero|code|codes|coordonnees) (?:de |d[eu] (?:votre |la |ta )?)?(?:carte|compte|bancaires?)\\w*|carte (?:bancaire|bleue|de credit)|coordonnees bancaires|cryptogramme|mot de passe|mots de passe|code (?:secret|pin|de securite|de verification|recu par sms)|rib|' +
    'numero (?:de|da|do|della) (?:la |su |tu |sua )?(?:tarjeta|cartao|carta|conta|cuenta)|tarjeta de credito|datos (?:bancarios|de (?:la |su )?tarjeta)|contrasena|clave|codigo de (?:seguridad|verificacion|seguranca|verificacao)|cartao(?: de credito)?|senha|' +
    'kartennummer|kreditkarte\\w*|passwort|kontonummer|bankdaten|prufziffer|sicherheitscode|carta di credito|codice (?:di sicurezza|pin|cvv)|dati (?:bancari|della carta)|' +
    'رقم (?:البطاقة|بطاقتك|الحساب|حسابك)|بطاقتك البنكية|كلمة (?:السر|المرور)|الرمز السري|رمز (?:التحقق|الامان)',
)
const asks = any(
  "tell|send|give|share|enter|provide|confirm|type|reply|need|what(?: is|'s)|text|verify|submit|" +
    'dites|envoye[rz]|envoie|donne[rz]?|communique[rz]|indique[rz]|saisi\\w+|confirme[rz]|partage[rz]|besoin|fourni\\w+|quel(?:le)? est|' +
    'envi\\w+|diga\\w*|dime|da(?:me|nos)|proporcion\\w+|mand\\w+|inform\\w+|confirm\\w+|necesit\\w+|facilit\\w+|indique\\w*|precis\\w+|' +
    'senden|geben|nennen|teilen|schicken|bestatigen|brauchen|benotigen|mitteilen|mandi|invii|inviate|mandaci|fornisca|comunichi|confermi|inserisca|serve|' +
    'ارسل|ارسلي|اعطنا|اعطني|اكتب|ادخل|زودنا|اخبرنا|نحتاج|ما هو|ما هي|اكد',
)
/** Nobody of a shop asks for these in a chat: they are asked for on a page of the payment provider. */
export const asksForSecrets: readonly RegExp[] = [
  pattern(asks, gap(50), secret),
  pattern(secret, gap(25), any('please|svp|por favor|bitte|per favore|من فضلك')),
]

/** Admitting fault, or advising on the law. */
export const legalWords: readonly RegExp[] = [
  pattern(
    any('we|i|nous|wir|noi'),
    gap(10),
    any(
      'are (?:fully )?(?:liable|responsible)|admit|accept (?:full )?(?:liability|responsibility)|sommes responsables|reconnaissons|haften|ubernehmen die haftung|siamo responsabili|ammettiamo',
    ),
    gap(20),
  ),
  pattern(
    any(
      'you (?:should|can|could|must) sue|legally (?:entitled|obliged|required)|vous pouvez porter plainte|vous devriez porter plainte|la loi (?:vous )?(?:oblige|autorise)|puede demandar|debe demandar|sie konnen klagen|puo denunciare|يمكنك مقاضاة',
    ),
  ),
]

/** What a customer writes about that no model answers: a person does, or a rule that owns the answer. */
const topics: Record<'money' | 'health' | 'secrets' | 'law', readonly RegExp[]> = {
  money: [
    pattern(
      any(
        'refund\\w*|money back|chargeback|reimburs\\w*|compensat\\w*|rembours\\w*|dedommag\\w*|indemnis\\w*|avoir commercial|reembols\\w*|devolucion(?:es)?|devuelv\\w*|devolv\\w*|indemniz\\w*|compensaci\\w+|estorn\\w*|ruckerstatt\\w*|erstatt\\w*|geld zuruck|entschadig\\w*|rimbors\\w*|risarc\\w*|استرداد|استرجاع|تعويض\\w*|ارجاع|فلوسي|نقودي',
      ),
    ),
    pattern(
      any(
        'return|send back|exchange|retourner|renvoyer|echanger|cambiar|devolver|zuruckschicken|zurucksenden|umtauschen|restituire|rendere|اعادة|ارجع',
      ),
      gap(25),
      any(
        'order|it|this|item|product|commande|article|produit|pedido|articulo|producto|encomenda|bestellung|artikel|ware|ordine|articolo|prodotto|la|le|lo|es|المنتج|الطلب|طلبي',
      ),
    ),
  ],
  health: [
    pattern(
      any(
        'can i|may i|should i|is it safe|puis[- ]je|peut on|dois[- ]je|je peux|puedo|debo|se puede|posso|devo|darf ich|kann ich|soll ich|posso|هل يمكنني|هل استطيع|واش نقدر',
      ),
      gap(35),
      any(`take|taking|prendre|tomar|nehmen|einnehmen|prendere|mix|melanger|mezclar|اخذ|تناول|ناخد`),
    ),
    pattern(
      any(
        'side effects?|overdose|dosage|posologie|effets? secondaires?|surdosage|efectos? secundarios?|sobredosis|efeitos? colaterais|dosis|dosierung|nebenwirkung\\w*|effetti collaterali|dosaggio|الجرعة|اعراض جانبية',
      ),
    ),
    pattern(
      any('pregnan\\w*|breastfeed\\w*|enceinte|allait\\w*|embaraz\\w*|gravida|schwanger\\w*|incinta|allatt\\w*|حامل'),
      gap(40),
    ),
    pattern(any('stop|arret\\w*|dejar|parar|absetzen|smettere|اوقف'), gap(25), medicine),
  ],
  secrets: [pattern(any('my|ma|mon|mi|mein\\w*|il mio|la mia|meu|minha|رقم'), ' ', gap(12), secret)],
  law: [
    pattern(
      any(
        'lawyer|attorney|sue|lawsuit|legal action|police|small claims|avocat|porter plainte|tribunal|justice|abogad\\w*|demandar\\w*|denunci\\w*|advogad\\w*|processar|anwalt\\w*|klage|verklagen|gericht|avvocat\\w*|querela|محامي|المحكمة|الشرطة|شكوى',
      ),
    ),
  ],
}

type Topic = keyof typeof topics

/** The first of these topics that a customer's words, folded, are about. */
export function topicOf(folded: string): Topic | undefined {
  return (Object.keys(topics) as Topic[]).find((topic) => topics[topic].some((one) => folded.search(one) !== -1))
}
