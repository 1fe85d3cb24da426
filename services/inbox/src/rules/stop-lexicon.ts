import type { CommandLanguage } from './consent-command.ts'

type Words = Partial<Record<CommandLanguage, string>>

/**
 * What a text that holds nothing else says: the words that laws and carriers name (CTIA: STOP, END, CANCEL, UNSUBSCRIBE, QUIT; FCC 2024:
 * also REVOKE, OPT OUT) and their kin. Written folded, as `tokensOf` gives them; several words are one command.
 */
export const stopWords: Words = {
  en: 'stop,stopall,stop all,stopp,unsubscribe,unsub,opt out,optout,end,quit,cancel,revoke,стоп,stop sms,stop text,stop texts,stop messages',
  fr: 'arret,arreter,arretez,arrete,desabonner,desabonne,desabonnement,desinscrire,desinscription,desinscrivez moi,desabonnez moi,stop pub,stop sms,revoquer',
  es: 'baja,parar,pare,paren,para ya,darme de baja,darse de baja,cancelar,cancelar suscripcion,desuscribir,desuscribirme,alto,salir,basta',
  pt: 'sair,cancelar inscricao,descadastrar,descadastre,parem,chega,remover',
  de: 'abmelden,abbestellen,austragen,aufhoren,ende,widerrufen,stopp',
  it: 'disiscrivi,disiscrivimi,disiscrivermi,cancellami,cancellatemi,cancellazione,smettila,smettetela,revoca',
  nl: 'afmelden,uitschrijven,stoppen,ophouden,afmelding',
  ar: 'ستوب,توقف,توقفوا,ايقاف,اوقف,اوقفوا,قف,كفي,الغاء الاشتراك,الغاء اشتراكي,الغ اشتراكي,وقف,حبس,حبسو,safi,baraka,7abes,7bes,hbes,wa9ef,wa9fo,habsou',
}

/** Politeness, greetings and urgency: they change nothing about what is said. */
export const courtesy =
  'veuillez,graag,ارجوكم,ارجوك,please,pls,plz,thanks,thank,thx,ty,hi,hello,hey,dear,sir,madam,now,immediately,asap,ok,okay,just,kindly,sorry,already,' +
  'svp,stp,sil,vous,te,plait,plaît,s,il,merci,mercii,bonjour,bonsoir,salut,maintenant,immediatement,tout,suite,de,' +
  'por,favor,porfa,porfavor,gracias,hola,ahora,ya,inmediatamente,obrigado,obrigada,obg,ola,oi,agora,ja,' +
  'bitte,danke,hallo,jetzt,sofort,guten,tag,per,favore,grazie,ciao,subito,adesso,prego,' +
  'alstublieft,alsjeblieft,aub,dank,bedankt,nu,direct,meteen,u,je,' +
  'من,فضلك,فضلكم,شكرا,لو,سمحت,سمحتم,مرحبا,السلام,عليكم,الان,فورا,رجاء,afak,3afak,3afakom,choukran,chokran,chukran,salam,daba'

/** Not, no more, and verbs of ending. */
export const negations =
  'enough,schluss,marre,assez,suffit,sem,sin,بدون,dont,don,not,never,no,stop,stopp,quit,cease,longer,wont,' +
  'ne,n,pas,plus,jamais,aucun,aucune,arret,arrete,arretez,arreter,cesse,cessez,cesser,finissez,' +
  'nunca,jamas,deje,dejen,deja,dejad,dejar,pare,paren,parar,basta,' +
  'nao,jamais,deixe,deixem,parem,chega,' +
  'nicht,nie,kein,keine,keinen,niemals,horen,hort,hor,aufhoren,' +
  'non,mai,niente,nessun,nessuno,smettete,smetti,smettila,smettetela,smetta,piu,' +
  'niet,geen,nooit,ophouden,hou,stoppen,' +
  'لا,لن,لم,ما,بلاش,مش,توقف,توقفوا,كفي,بطلوا,بطل,ماتبقاوش,ma,matb9awch,mabqitch,mab9itch,mabghitch,baraka,bla,safi'

/** Verbs that say nothing but reaching somebody. A stem ends in `*`. */
export const contactVerbs =
  'gecontacteerd,gebeld,geappt,gemaild,angerufen,angeschrieben,escrit*,تتواصل*,تواصل*,contact*,text,texting,message,messaging,write,writing,call,calling,phone,bother*,disturb*,spam*,harass*,annoy*,pester*,ping*,notify,' +
  'ecri*,ecriv*,contact*,derang*,sollicit*,harcel*,relanc*,spammer,appel*,embet*,saoul*,' +
  'escrib*,contacten,molest*,llam*,moleste*,' +
  'escrev*,incomod*,perturb*,ligu*,ligar,contat*,' +
  'schreib*,kontakt*,anruf*,stort,storen,belastig*,ruf,rufen,anschreib*,' +
  'scriv*,contatt*,disturb*,chiam*,importun*,' +
  'schrijf,schrijven,bel,bellen,lastig,contacteer*,appen,app,storen,' +
  'تراسل*,تكتب*,تتصل*,تزعج*,تكلم*,ازعاج*,ازعاجي,مراسلتي,tktbo*,tekteb*,tsifto*,tsift*,sift*,t3ayto*,3ayt*,tb9aw,mtb9awch*,matsiftoch*,matsiftouch*'

export const sendVerbs =
  'stuur*,send*,envoy*,envi*,mand*,schick*,send*,zusend*,invi*,stur*,zend*,ترسل*,ارسال*,تبعت*,ترسلوا,ابعث*,تبعث*,tsifto,tsiftou*,siftou*'

/** What is sent when it is unwanted. */
export const messageNouns =
  'communication*,contact,kontakt,contacto,contatto,رسائل*,message*,msg*,sms,texts,text,mail*,email*,notification*,newsletter*,reminders,whatsapp*,' +
  'sollicitation*,relances,mensaje*,correos,avisos,mensage*,nachricht*,mitteilung*,benachrichtigung*,' +
  'messaggi*,messaggio,notific*,bericht*,appjes,melding*,' +
  'رسايل*,رساله,اشعار*,messagat,lmessagat,msgat'

/** What is sent and never asked for: no more of it needs no other word. */
export const advertNouns =
  'spam,ads,advert*,promo*,offers,marketing,pub,pubs,publicit*,publicid*,reclame*,offres,ofertas,propaganda*,anuncios,werbung,werbe*,' +
  'angebote,pubblicit*,offerte,aanbiedingen,اعلان*,عروض*'

/** Nothing, anything: only with a verb of sending or receiving is it about messages. */
export const anythingNouns =
  'things,stuff,these,cosas,choses,trucs,coisas,sachen,dinge,cose,dingen,شيء,anything,nothing,rien,nada,nichts,niente,niets,شي,walo'

/** That it is to end from now on. */
export const endings =
  'enough,schluss,marre,assez,weitere*,zuviel,suffit,hou,ho,parem,more,anymore,longer,again,ever,stop,stopp,stopper,cease,quit,end,plus,jamais,arret*,cess*,finissez,fini,mas,nunca,jamas,basta,pare,paren,parar,dej*,' +
  'mais,chega,parem,deixe*,mehr,nie,niemals,aufhoren,hort,piu,mai,smett*,meer,nooit,stoppen,ophouden,بعد,ابدا,كفي,توقف*,اوقف*,ايقاف,وقف*,بطل*,safi,baraka,hbes,habsou'

export const wantVerbs =
  'want,wish,interested,veux,veut,voulons,voudrais,souhait*,desir*,quiero,quiera,queremos,deseo,deseamos,quero,desejo,will,wollen,mochte,wunsche,voglio,vogliamo,vorrei,desidero,' +
  'wil,wens,willen,اريد,نريد,عايز,بدي,bghit,bghitch,bghina,nbghi,mabghitch'

export const receiveVerbs =
  'got,gotten,received,recu,recus,recue,recibi,recibido,recebi,recebido,ricevuto,تصلني,وصلني,وصلتني,receiv*,get,getting,recevoir,recib*,receb*,bekomm*,erhalt*,kriegen,empfangen,ricever*,ontvang*,krijgen,استلام,استقبال,تلقي,استلم,استقبل,يوصلني,توصلني,twslni,ywslni'

export const removeVerbs =
  'togli*,nehm*,sair,salir,raus,remove,removing,take,delete,retir*,enlev*,supprim*,radi*,quiten*,quit*,saqu*,saca*,sacad*,borr*,elimin*,remov*,tir*,tire*,exclu*,streich*,entfern*,losch*,nehmen,' +
  'rimuov*,toglie*,elimin*,cancella*,verwijder*,haal,schrap,احذف*,ازيل*,شيل*,حيد*,7ayed*,7aydo*'

export const unsubscribeStems =
  'unsub*,optout,desabonn*,desinscri*,desuscri*,desapunt*,descadastr*,abmeld*,abbestell*,austrag*,disiscri*,uitschrij*,uitgeschreven,afmeld*,afgemeld'

export const listNouns =
  'base,datos,dados,datenbank,list*,lista*,liste*,lijst*,verteiler*,database,fichier*,قائمه,القائمه,قائمتكم,mailing,mailinglist,contacts,contactos,contatos'

export const persons =
  'رقمي,me,us,my,mine,i,we,m,moi,nous,mon,ma,mes,j,je,mi,mis,nos,nosotros,yo,minha,meu,eu,mich,mir,uns,mein,meine,meinen,meinem,meiner,ich,ci,mio,mia,noi,io,mij,me,ons,mijn,ik,عني,انا,لي,الي,liya,lia,ليا,معي,بي,بنا,لنا'

/** The one who is written to, where no other word is their object. */
export const objects =
  'رقمي,me,us,m,moi,nous,nos,mich,mir,uns,ci,mi,mij,ons,number,numero,nummer,liya,lia,ليا,لي,الي,بي,بنا,لنا,عني,معي'

/** Words that carry nothing here: articles, prepositions, adverbs of ending, the other side. */
export const fillers =
  'c,be,been,etre,ser,werden,worden,essere,zijn,ai,en,dont,ان,بان,keep,kommen,damit,aux,au,met,ermee,mn,dar,denme,deme,dame,t,s,re,ve,im,said,say,told,asked,mean,dit,demande,dis,digo,dije,disse,sagte,gesagt,zei,number,numero,nummer,telephone,phone,sur,here,ici,aqui,hier,please,qui,been,being,have,has,to,a,an,the,of,from,off,any,anymore,more,again,ever,your,yours,you,it,this,that,these,those,all,everything,with,and,do,be,is,am,so,then,would,like,at,' +
  'd,des,du,la,le,les,l,un,une,vos,votre,ton,tes,ce,cet,cette,ces,ca,tout,tous,toute,toutes,par,et,a,y,en,est,qu,que,' +
  'mas,el,los,las,su,sus,al,del,lo,todo,todos,y,e,que,se,si,nos,favor,' +
  'mais,o,os,as,da,do,dos,das,suas,seus,tudo,todas,por,na,no,' +
  'mehr,der,die,das,den,dem,ihr,ihre,ihren,sie,von,aus,auf,alles,zu,und,mit,an,wir,ist,weitere,damit,' +
  'piu,i,gli,il,lo,vostri,vostro,vostra,di,da,tutto,dalla,dal,con,e,la,' +
  'meer,de,het,een,uw,jullie,alles,mee,en,van,uit,op,' +
  'الي,علي,في,بعد,اليوم,مره,اخري,اي,هذه,هذا,كل,شي,شئ,و,يا,من,عن,ابدا,تاني,chi,had,f,walo,9a3,ga3,kamlin'

/** What makes it a matter of when, where or what instead: then nobody but the writer knows. */
export const qualifiers =
  'before,after,until,till,tomorrow,today,tonight,morning,evening,pm,oclock,minute*,hour*,week*,monday,tuesday,wednesday,thursday,friday,saturday,sunday,when,while,if,unless,but,instead,by,near,yet,work,office,only,street,bus,working,about,how,why,where,which,twice,' +
  'avant,apres,demain,aujourd,hui,matin,soir,heure*,h,midi,lundi,mardi,mercredi,jeudi,vendredi,samedi,dimanche,quand,si,sauf,plutot,chez,rue,pendant,jusqu,seulement,combien,pourquoi,travail,semaine,' +
  'antes,despues,manana,hoy,tarde,hora*,lunes,martes,miercoles,jueves,viernes,sabado,domingo,cuando,pero,mejor,hasta,trabajo,semana,como,cuanto,' +
  'depois,amanha,hoje,quando,melhor,ate,segunda,terca,quarta,quinta,sexta,trabalho,' +
  'morgen,vor,nach,heute,abend,uhr,wenn,aber,lieber,bis,montag,dienstag,mittwoch,donnerstag,freitag,samstag,sonntag,arbeit,woche,wie,warum,sondern,' +
  'prima,dopo,domani,oggi,ore,meglio,fino,lunedi,martedi,mercoledi,giovedi,venerdi,lavoro,come,perche,' +
  'voor,na,vandaag,vanavond,uur,als,maar,liever,tot,maandag,dinsdag,woensdag,donderdag,vrijdag,zaterdag,zondag,werk,hoe,waarom,' +
  'قبل,غدا,ساعه,الساعه,صباحا,مساء,عندما,اذا,لكن,متي,كيف,لماذا,غير,ghda,9bel,'

/** Things of a shop. */
export const shopNouns =
  'order*,cart,basket,item*,product*,deliver*,shipping,shipment*,parcel*,package*,refund*,payment*,invoice*,bill*,receipt*,appointment*,booking*,reservation*,box*,subscription*,machine*,size,color*,colour*,' +
  'commande*,panier*,article*,produit*,livr*,colis,facture*,paiement*,rendez,rdv,boite*,fleur*,rose*,abonnement,taille,couleur,' +
  'pedido*,carrito,articulo*,producto*,entrega*,envio*,paquete*,factura*,pago*,cita*,reserva*,caja*,talla,color,' +
  'carrinho,produto*,encomenda*,fatura*,pagamento*,consulta*,caixa*,' +
  'bestell*,warenkorb,artikel*,produkt*,liefer*,paket*,rechnung*,zahlung*,termin*,buchung*,abo,grosse,farbe,' +
  'ordine,ordini,carrello,articol*,prodott*,consegn*,spedizione*,pacc*,fattur*,pagament*,appuntament*,abbonamento,taglia,' +
  'bestelling*,winkelwagen,pakket*,factuur*,betaling*,afspraak*,maat,kleur,levering*,' +
  'طلب,طلبي,الطلب,طلبيه,سله,منتج,المنتج,توصيل,التوصيل,الشحن,شحنه,فاتوره,دفع,موعد,commande,talab,tawsil,red,blue,white,rouge,blanc'

/** Whole sayings, their words joined. */
export const sayings =
  'leavemealone,leaveusalone,laissezmoitranquille,laissemoitranquille,laisseznoustranquille,laissezmoienpaix,fichezmoilapaix,fichemoilapaix,foutezmoilapaix,foutsmoilapaix,fousmoilapaix,lachezmoi,lachemoi,' +
  'dejameenpaz,dejenmeenpaz,dejemeenpaz,dejadmeenpaz,deixameempaz,deixemeempaz,deixemmeempaz,medeixeempaz,medeixaempaz,medeixemempaz,' +
  'lassmichinruhe,lasstmichinruhe,lassensiemichinruhe,lasstunsinruhe,lasciamiinpace,lasciatemiinpace,lascimiinpace,laatmemetrust,laatmijmetrust,' +
  'اتركوني,اتركني,دعوني,سيبوني,خليوني,khaliwni,khelliwni,khallini,optmeout,loseMyNumber'.toLowerCase() +
  ',takemeoff,losemynumber'

/** To bother, without a word for whom: said alone it is about the writer. */
export const botherVerbs =
  'bother*,disturb*,spam*,harass*,pester*,derang*,harcel*,molest*,perturb*,incomod*,importun*,stor,storen,stort,belastig*,lastig,ازعاج*,تزعج*'
