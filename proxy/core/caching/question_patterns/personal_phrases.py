"""Detect questions for one person's own data, in languages other than English.

They match what `proxy.core.caching.question_patterns.personal` matches in English: "wo ist meine
Bestellung?", not "wie verfolge ich meine Bestellung?". Phrases are written as people write;
`fold_to_plain` folds them as it folds the questions.
"""

import re
from typing import Final

from proxy.core.text.plain_words import fold_to_plain, split_plain_sentences

_ANY_WORD: Final = r"(?:[^ ]{1,30} )"


def _build_subject_first(
    *, asks: str, mine: str, things: str, states: str, done: str, others: str
) -> tuple[str, ...]:
    """Return patterns for languages that ask first: "what is my balance", "has my parcel come"."""
    return (
        f" (?:{asks}) (?:{mine}) {_ANY_WORD}?(?:{things}) ",
        f" (?:{states}) (?:{mine}) {_ANY_WORD}?(?:{things}) {_ANY_WORD}{{0,3}}(?:{done}) ",
        f" (?:{others}) ",
    )


def _build_thing_first(*, mine: str, things: str, asks: str, others: str) -> tuple[str, ...]:
    """Return patterns for languages that name the thing first: "my balance how much is"."""
    return (
        f" (?:{mine}) {_ANY_WORD}?(?:{things}) {_ANY_WORD}{{0,3}}?(?:{asks}) ",
        f" (?:{others}) ",
    )


def _build_thing_alone(*, things: str, asks: str, others: str) -> tuple[str, ...]:
    """Return patterns for languages that name the thing first, its owner as a suffix."""
    return (f" (?:{things}) {_ANY_WORD}{{0,3}}?(?:{asks}) ", f" (?:{others}) ")


_LATIN: Final = (
    # German
    *_build_subject_first(
        asks=r"(?:was|wie|wie hoch|wie viel|wo|wann|wer|welche[nrs]?) (?:ist|sind|war|waren|"
        r"lautet|lauten|steht|stehen|bleibt|bleiben|kommt|"
        r"kommen|ankommt|endet|läuft|wird|beträgt)(?: denn| gerade| aktuell| eigentlich| jetzt|"
        r" noch)?|"
        r"(?:zeig|zeige|nenn|nenne|sag|sage|schick|lies|gib)(?: sie| en sie)? mir(?: bitte)?|"
        r"zeigen sie mir(?: bitte)?|"
        r"(?:status|stand|höhe)(?: von)?|wie steht es um",
        mine=r"mein(?:e[nrms]?)?",
        things=r"kontostand|saldo|guthaben|kontonummer|iban|kundennummer|bestellnummer|"
        r"vertragsnummer|versicherungsnummer|mitgliedsnummer|"
        r"sendungsnummer|benutzername|nutzername|bestellung(?:en)?|lieferung|paket|sendung|"
        r"päckchen|termine?|flug|zug|sitzplatz|buchung|"
        r"reservierung|rechnung(?:en)?|rechnungsbetrag|zahlung(?:en)?|gehalt|lohn|vertrag|abo|"
        r"abonnement|tarif|verbrauch|datenvolumen|antrag|"
        r"(?:rück)?erstattung|testergebnis(?:se)?|noten?|warenkorb|punktestand|punkte|schulden|"
        r"verfügungsrahmen|mitgliedschaft|befunde?|"
        r"umsätze|kontoauszug|nachrichten",
        states=r"ist|sind|wurden?|hat|haben|war|wird|kommt",
        done=r"schon|bereits|noch|endlich|angekommen|da|unterwegs|bestätigt|genehmigt|verschickt|"
        r"versandt|versendet|fertig|eingegangen|"
        r"bearbeitet|gebucht|aktiv|pünktlich|heute|morgen|an",
        others=r"(?:wie viele?|wieviele?) (?:[^ ]{1,30} ){0,4}(?:habe ich (?:noch|auf|übrig|"
        r"aktuell|gerade|schon|diesen|im)|schulde ich|verdiene ich)|"
        r"welche[nrs]? (?:tarif|vertrag|plan|abo|paket|version) (?:habe|nutze) ich|(?:habe|"
        r"hab) ich (?:noch )?(?:offene|unbezahlte)|"
        r"wann habe ich (?:zuletzt|das letzte mal)|haben sie meine (?:zahlung|rechnung|bewerbung|"
        r"mail)|wo bleibt mein[^ ]{0,3}|"
        r"bin ich (?:noch |schon )?(?:angemeldet|registriert|eingeloggt|versichert)|"
        r"(?:was|wie) ist (?:der status|der stand|die höhe|die nummer) mein[^ ]{1,3}|"
        r"wie ?viele? (?:[^ ]{1,30} ){0,4}(?:auf|in) mein(?:em|er) (?:konto|karte|warenkorb)|"
        r"was habe ich (?:letzte[nrs]?|diese[nrs]?|im|gestern|heute)|"
        r"welche [^ ]{1,30} (?:sind|ist) bei mir (?:noch )?offen",
    ),
    # French
    *_build_subject_first(
        asks=r"(?:quel(?:le)?s?|quand|où|qui) (?:est|sont|était|arrive|arrivent|en est|se trouve|"
        r"sera)|où en (?:est|sont)|combien (?:y a t il|ai je) (?:sur|dans)|"
        r"c est quoi|donne(?:z)? moi|montre(?:z)? moi|dis moi|affiche(?:z)?|(?:le )?(?:statut|"
        r"état|montant|suivi) de|quand (?:arrive|arrivera|se termine|"
        r"expire|finit)",
        mine="mon|ma|mes",
        things=r"soldes?|numéro (?:de |d )?(?:compte|client|commande|contrat|dossier|suivi|"
        r"membre)|iban|rib|identifiant|commandes?|colis|livraison|"
        r"paquet|rendez vous|vol|train|siège|réservation|factures?|paiement|salaire|contrat|"
        r"abonnement|forfait|consommation|dossier|"
        r"remboursement|résultats?|notes?|panier|points|dettes?|compte|dernière commande|"
        r"derniers achats|transactions|messages",
        states=r"est ce que|est|sont|a|ont",
        done=r"arrivée?s?|expédiée?s?|livrée?s?|confirmée?s?|validée?s?|acceptée?s?|approuvée?s?|"
        r"prête?s?|traitée?s?|reçue?s?|en route|à l heure|partie?s?|"
        r"t (?:il|elle)|t (?:ils|elles)|est (?:il|elle)",
        others=r"quel(?:le)? est (?:le |la |l )(?:solde|montant|statut|état|numéro|limite|plafond) "
        r"d(?:e|u) (?:mon|ma|mes)|combien (?:d argent |de [^ ]{1,20} )?(?:ai je|je dois|dois je|"
        r"me reste t il|"
        r"il me reste)(?: encore)?|combien est ce que j ai|"
        r"à quel(?:le)? (?:forfait|formule|abonnement) suis je|avez vous (?:bien )?reçu (?:mon|ma|"
        r"mes)|ai je (?:encore )?des (?:factures|dettes)|"
        r"(?<!pourquoi )mon (?:colis|solde|vol|dossier|remboursement|paiement) (?:est il|a t il)|"
        r"(?<!pourquoi )ma (?:commande|"
        r"demande|livraison|réservation) (?:est elle|a t elle)|"
        r"quand est ce que (?:mon|ma|mes) (?:colis|commande|livraison|remboursement)",
    ),
    # Spanish
    *_build_subject_first(
        asks=r"(?:cuál|cuáles|qué|cuánto|cuándo|dónde|quién|cómo) (?:es|son|era|está|están|llega|"
        r"llegará|llegan|vence|va|queda|hay en|termina|tengo en)|"
        r"(?:muéstra|muestre|dime|diga|dame|enséña|enseñe|lee)(?:me)?|(?:el )?(?:estado|saldo|"
        r"monto|importe) de|(?<=^ )ver|(?<=^ )consultar (?:el )?saldo de|por dónde va",
        mine="mi|mis",
        things=r"saldo|número de (?:cuenta|cliente|pedido|póliza|socio|contrato|seguimiento|"
        r"reserva)|iban|clabe|cbu|usuario|nombre de usuario|pedidos?|paquete|"
        r"envío|entrega|encomienda|cita|vuelo|tren|asiento|reserva|facturas?|pago|sueldo|salario|"
        r"nómina|contrato|suscripción|plan|tarifa|"
        r"consumo|solicitud|reembolso|resultados?|notas?|carrito|puntos|deuda|cuenta|"
        r"última compra|últimos movimientos|mensajes",
        states=r"ha|han|está|están|ya|llegó|fue|se",
        done=r"llegado|llegó|enviado|enviada|confirmad[oa]s?|aprobad[oa]s?|list[oa]s?|"
        r"procesad[oa]|entregad[oa]|en camino|a tiempo|aceptad[oa]",
        others=r"(?:cuánto|cuánta|cuántos|cuántas) (?:[^ ]{1,30} ){0,3}(?:tengo (?:en|disponible|"
        r"ahorrado|acumulad[oa]s|todavía|aún)|debo|me quedan?|gasté|gané|he gastado)|"
        r"(?:ya )?(?:llegó|salió|se envió) mi (?:pedido|paquete|envío|pago)|mi (?:pedido|paquete|"
        r"envío|pago|solicitud) (?:ya )?(?:llegó|salió|fue|ha|está)|"
        r"qué (?:plan|tarifa|saldo) tengo|cuánto saldo|han recibido mi|recibieron mi|"
        r"tengo (?:alguna )?(?:factura|"
        r"deuda|multa)s? (?:pendientes?|sin pagar)|"
        r"(?:ya )?(?:ha|han) (?:llegado|salido|sido [^ ]{1,15}) (?:mi|mis)|"
        r"cuál es el número de mi|quin(?:a)? és (?:el meu|la meva)|on (?:és|està) (?:el meu|"
        r"la meva)",
    ),
    # Portuguese
    *_build_subject_first(
        asks=r"(?:qual|quais|que|quanto|quando|onde|quem|como) (?:é|eh|são|era|está|tá|estão|"
        r"chega|chegará|vence|vai|fica|anda|tem n[oa]|termina)|qual|"
        r"(?:mostre|mostra|me mostre|diga|me diga|me dá|leia|me passa)(?: me)?|(?:o )?(?:status|"
        r"estado|saldo|valor|situação) d[oae]s?|(?<=^ )ver|cadê",
        mine="(?:o |a |os |as )?(?:meu|minha|meus|minhas)",
        things=r"saldo|número (?:da|de|do) (?:conta|cliente|pedido|apólice|contrato|reserva|"
        r"protocolo)|iban|usuário|nome de usuário|pedidos?|encomenda|"
        r"pacote|entrega|consulta|voo|comboio|assento|reserva|faturas?|boleto|pagamento|salário|"
        r"contrato|assinatura|plano|tarifa|consumo|"
        r"solicitação|reembolso|resultados?|notas?|carrinho|pontos|dívida|conta|última compra|"
        r"limite|mensagens",
        states=r"já|foi|está|tá|chegou|saiu|foram",
        done=r"chegou|chegaram|enviad[oa]|saiu|confirmad[oa]s?|aprovad[oa]s?|pront[oa]s?|"
        r"processad[oa]|entregue|a caminho|no horário|aceit[oa]",
        others=r"(?:quanto|quanta|quantos|quantas) (?:[^ ]{1,30} ){0,3}(?:(?:eu )?tenho (?:na|no|"
        r"em|disponível|ainda)|devo|me restam?|gastei|ganhei|ainda tenho)|"
        r"(?:já )?(?:chegou|saiu|foi enviad[oa]) (?:o |a )?(?:meu|minha) (?:pedido|pacote|"
        r"encomenda|pagamento)|"
        r"(?:meu|minha) (?:pedido|pacote|encomenda|pagamento|solicitação) (?:já )?(?:chegou|saiu|"
        r"foi|está)|qual plano eu tenho|qual é o (?:número|saldo|valor|status) d[aeo]s? (?:meu|"
        r"minha)|receberam (?:o |a )?(?:meu|minha)",
    ),
    # Italian
    *_build_subject_first(
        asks=r"(?:qual|quale|quali|quanto|quando|dov|dove|chi|com|come|a quanto) (?:è|e|sono|era|"
        r"sta|arriva|arriverà|scade|ammonta|si trova|va|c è sul)|"
        r"qual|(?:mostra|mostrami|dimmi|leggimi|dammi|fammi vedere)|(?:lo )?(?:stato|"
        r"saldo) del(?:l|la|le|lo)?|a che punto è|cos è",
        mine="(?:il |la |i |le |l )?(?:mio|mia|miei|mie)",
        things=r"saldo|numero (?:di |del |d )?(?:conto|cliente|ordine|polizza|contratto|"
        r"prenotazione)|iban|nome utente|ordin[ei]|pacco|spedizione|consegna|"
        r"appuntamento|volo|treno|posto|prenotazione|fatture?|bolletta|pagamento|stipendio|"
        r"contratto|abbonamento|tariffa|piano|consumo|pratica|"
        r"rimborso|risultati|voti|carrello|punti|debito|conto|ultimo acquisto|messaggi",
        states=r"è|sono|ha|hanno",
        done=r"arrivat[oaie]|spedit[oaie]|confermat[oaie]|approvat[oaie]|pront[oaie]|partit[oaie]|"
        r"consegnat[oaie]|in arrivo|in orario|elaborat[oaie]|già",
        others=r"(?:quanto|quanta|quanti|quante) (?:[^ ]{1,30} ){0,3}(?:ho (?:sul|nel|ancora|"
        r"disponibile|speso)|devo ancora|mi (?:rimane|rimangono|resta|restano))|"
        r"(?:il mio|la mia) (?:ordine|pacco|spedizione|pagamento|"
        r"pratica) (?:è (?:già )?(?:arrivat|partit|stat)[oa]|ha)|avete ricevuto (?:il mio|la mia)|"
        r"(?:è|sono) (?:già )?(?:arrivat|partit|stat)[oaie] (?:il mio|la mia|i miei|le mie)|"
        r"qual è il numero del (?:mio|la mia)|"
        r"che (?:piano|tariffa|abbonamento) ho",
    ),
    # Dutch
    *_build_subject_first(
        asks=r"(?:wat|hoe hoog|hoeveel|waar|wanneer|wie|hoe) (?:is|zijn|was|waren|staat|staan|"
        r"blijft|komt|loopt|wordt|eindigt)(?: er op)?|(?:toon|laat|geef|stuur)(?: me| mij)?|"
        r"(?:status|stand) van",
        mine="mijn|m n",
        things=r"saldo|tegoed|rekeningnummer|iban|klantnummer|bestelnummer|ordernummer|"
        r"polisnummer|gebruikersnaam|bestelling(?:en)?|levering|pakket|pakje|"
        r"zending|afspraak|vlucht|trein|stoel|boeking|reservering|facturen|factuur|betaling|"
        r"salaris|loon|contract|abonnement|verbruik|aanvraag|"
        r"terugbetaling|testresultaten|uitslag|cijfers|winkelwagen|punten|schuld|rekening|"
        r"databundel",
        states=r"is|zijn|werd|wordt|heeft|hebben",
        done=r"al|aangekomen|onderweg|bevestigd|goedgekeurd|verzonden|klaar|verwerkt|ontvangen|"
        r"op tijd|bezorgd|geleverd|binnen",
        others=r"hoeveel (?:[^ ]{1,30} ){0,4}op mijn rekening|"
        r"hoeveel (?:[^ ]{1,30} ){0,3}(?:heb ik (?:nog|op|over|al)|"
        r"ben ik (?:nog )?(?:schuldig|verschuldigd))|welk (?:abonnement|tarief|pakket) heb ik|"
        r"hebben jullie mijn (?:betaling|factuur|mail)|heb ik (?:nog )?(?:openstaande|onbetaalde)|"
        r"waar blijft mijn",
    ),
    # Polish
    *_build_subject_first(
        asks=r"(?:jak[iea]|jakie|ile|gdzie|kiedy|kto|co) (?:jest|są|był[ao]?|wynosi|to|"
        r"znajduje się|dotrze|przyjdzie|będzie|kończy się|mam na)|"
        r"(?:jaki|jaka|jakie|gdzie|kiedy)(?: mam)?|(?:pokaż|podaj|powiedz|wyświetl)(?: mi)?|"
        r"(?<=^ )(?:status|stan|saldo)",
        mine=r"mój|moja|moje|mojego|mojej|moich|moim",
        things=r"saldo|salda|stan konta|numer (?:konta|klienta|zamówienia|polisy|umowy|"
        r"rezerwacji)|iban|login|nazwa użytkownika|zamówieni[ea]|paczk[aię]|przesyłk[aię]|"
        r"dostaw[ay]|wizyt[ay]|lot|pociąg|miejsce|rezerwacj[ai]|faktur[ay]|płatność|pensja|"
        r"wypłata|umow[ay]|abonament|subskrypcj[ai]|taryfa|"
        r"zużycie|wniosek|wniosku|zwrot|wyniki|oceny|koszyk|punkty|dług|zadłużenie|konto|konta|"
        r"koncie",
        states=r"czy|jest",
        done=r"już|dotarł[ao]?|wysłan[aoey]|potwierdzon[aey]|zatwierdzon[aey]|gotow[aey]|"
        r"przyjęt[aey]|w drodze|dostarczon[aoey]|opłacon[aey]",
        others=r"ile mam (?:[^ ]{1,30} ){0,3}na koncie|ile (?:[^ ]{1,30} ){0,3}(?:mam (?:na|"
        r"jeszcze|zaległych)|jestem (?:winien|winna)|"
        r"mi zostało|zostało mi|zarabiam)|"
        r"czy (?:dostaliście|otrzymaliście) (?:mój|moją|moje)|czy mam (?:jakieś )?(?:zaległ|"
        r"nieopłacon)[^ ]{0,10}|"
        r"(?:moja|moje|mój) (?:paczka|zamówienie|przesyłka|wniosek) (?:już )?(?:dotarł|został|"
        r"jest)[^ ]{0,3}",
    ),
    # Turkish: the owner is a suffix.
    *_build_thing_alone(
        things=r"bakiyem|hesap bakiyem|hesap numaram|müşteri numaram|sipariş numaram|"
        r"kullanıcı adım|ibanım|siparişim|kargom|paketim|teslimatım|randevum|uçuşum|"
        r"biletim|koltuğum|rezervasyonum|faturam|ödemem|maaşım|sözleşmem|aboneliğim|tarifem|"
        r"başvurum|iadem|sonuçlarım|notlarım|sepetim|puanım|"
        r"puanlarım|borcum|limitim|siparişlerim|hesabımda",
        asks=r"ne kadar|kaç|verildi mi|gönderildi mi|yola çıktı mı|nedir|ne|nerede|ne zaman|"
        r"geldi mi|ulaştı mı|çıktı mı|onaylandı mı|"
        r"hazır mı|göster|kim|var mı|ne durumda|hangisi|yattı mı|bitiyor",
        others=r"(?:bakiyem|siparişim|kargom|paketim|faturam|borcum|puanım|maaşım|randevum|"
        r"başvurum|uçuşum|aboneliğim) (?:ne kadar|kaç|nedir|nerede|ne zaman|geldi mi|"
        r"ulaştı mı|onaylandı mı|ne durumda|hazır mı|yattı mı)|(?:bakiyemi|siparişlerimi|borcumu|"
        r"faturamı|puanlarımı) (?:göster|söyle)|"
        r"hesabımda (?:ne kadar|kaç)|ne kadar (?:borcum|param|puanım|bakiyem) (?:var|kaldı)|"
        r"kaç (?:puanım|param|günüm|liram) (?:var|kaldı)",
    ),
    # Indonesian: the owner follows.
    (
        " (?:berapa|apa|di ?mana|kapan|siapa|mana|tampilkan|lihat|cek|sampai mana|bagaimana "
        "status|status) (?:nomor |sisa |jumlah |tagihan |status )?"
        f"{_ANY_WORD}?(?:saldo|nomor rekening|rekening|nomor "
        "pelanggan|pesanan|paket|kiriman|janji temu|penerbangan|kursi|reservasi|"
        "tagihan|pembayaran|"
        r"gaji|kontrak|langganan|kuota|pengajuan|refund|hasil tes|nilai|keranjang|poin|utang|"
        r"hutang|username|pelanggan|pulsa)(?:ku| saya| aku| gue| gw) "
    ),
    f" (?:apakah )?(?:saldo|pesanan|paket|kiriman|tagihan|pembayaran|gaji|pengajuan|refund|kuota|"
    f"pulsa|poin)(?:ku| saya| aku) {_ANY_WORD}{{0,2}}(?:berapa|di ?mana|"
    r"kapan|sudah|udah|sampai mana|tinggal berapa) ",
    r" berapa (?:banyak )?(?:uang|poin|utang|hutang|sisa) (?:[^ ]{1,20} ){0,2}saya ",
)
_RUSSIAN: Final = (
    *_build_subject_first(
        asks=r"(?:какой|какая|какое|какие|каков|какова|каково|сколько|где|когда|кто|что|"
        r"куда) (?:у меня |есть |сейчас |находится |будет |придет |приедет |заканчивается )?|"
        r"(?:какой|какая|какое|каков|где|когда|кто) (?:сейчас|находится|будет|придет|приедет|"
        r"заканчивается|закончится|делся|делась)|(?:покажи|покажите|скажи|назови|"
        r"подскажите|сообщите)(?: мне)?|(?:статус|состояние|баланс|остаток|сумма)|на каком этапе|"
        r"что с|сколько (?:денег |средств )?на|"
        r"где|какой|какая|каков|какова|когда|кто",
        mine=r"мой|моя|мое|мои|моего|моей|моих|моем|моим",
        things=r"баланс|остаток|номер (?:счета|клиента|заказа|полиса|договора|брони|карты)|логин|"
        r"заказы?|заказа|заказом|посылка|посылки|посылкой|доставка|запись|"
        r"рейс|поезд|место|бронь|бронирование|бронирования|счет|счета|счете|карте|платеж|зарплата|"
        r"договор|подписка|тариф|расход|заявка|заявки|заявкой|возврат|"
        r"анализы|результаты|оценки|корзина|баллы|бонусы|долг|задолженность|лимит|"
        r"последние покупки|сообщения|iban",
        states=r"пришел|пришла|пришли|отправлен|отправлена|готов|готова|одобрен|одобрена|"
        r"подтвержден|подтверждена|дошел|дошла|поступил|поступила",
        done=r"[^ ]{1,30}",
        others=r"(?:пришел|пришла|пришли|отправлен|отправлена|готов|готова|готовы|одобрен|"
        r"одобрена|подтвержден|подтверждена|дошел|дошла|поступил|поступила|доставлен|доставлена) "
        r"(?:ли )?(?:мой|моя|мое|мои)|сколько (?:[^ ]{1,30} ){0,3}(?:у меня (?:на|осталось|баллов|"
        r"денег|бонусов)|я должен|я должна|осталось на моем|мне осталось)|"
        r"какой у меня (?:баланс|тариф|номер|долг|остаток|лимит)|где (?:сейчас )?мо[йя] (?:заказ|"
        r"посылка)|когда (?:придет|приедет|доставят) мо[йяю] (?:заказ|посылка|посылку)|"
        r"(?:заказ|посылка) (?:уже )?(?:пришел|пришла|отправлен|отправлена)|вы получили мо[йюе]|"
        r"есть ли у меня (?:долг|задолженность|штрафы|неоплаченные)[^ ]{0,3}|"
        r"мо[йя] (?:заказ|посылка|платеж|заявка) (?:уже )?(?:пришел|пришла|отправлен|отправлена|"
        r"где|прошел|одобрена)",
    ),
)
_ARABIC: Final = (
    f" (?:ما|ماهو|ماهي|ما هو|ما هي|كم|اين|متى|من|وين|فين|كم يبلغ|كم يساوي|اعرض|أظهر|اظهر|أخبرني|"
    f"ارني|حالة|وضع|وصل|هل وصل|هل وصلت|هل تم شحن|هل تم تأكيد|"
    f"هل تم قبول|هل شحن|متى يصل|متى تصل|متى سيصل|متى ستصل|متى ينتهي|متى تنتهي|كم يوجد في|كم في|"
    f"كم بقي من|شو|ايش|كام) (?:هو |هي )?{_ANY_WORD}?"
    r"(?:رصيدي|حسابي|رصيد حسابي|رقم حسابي|رقم طلبي|رقم عضويتي|اسم المستخدم الخاص بي|طلبي|طلبيتي|"
    r"طردي|شحنتي|موعدي|رحلتي|مقعدي|حجزي|فاتورتي|دفعتي|راتبي|"
    r"عقدي|اشتراكي|باقتي|استهلاكي|معاملتي|نتائجي|نتيجتي|درجاتي|سلتي|نقاطي|ديوني|ديني|رصيدى|"
    r"الرصيد المتبقي لدي|رسائلي|مستحقاتي|طلباتي) ",
    r" (?:كم|كم من) (?:[^ ]{1,20} ){0,3}(?:لدي في|لدي من|عندي في|تبقى لي|بقي لي|املك|ادين|"
    r"على حسابي|في حسابي|في رصيدي) ",
    r" (?:رصيدي|طلبي|شحنتي|طردي|راتبي|فاتورتي) (?:كم|وين|اين|فين|متى|وصل|وصلت|كام) ",
    # Urdu
    *_build_thing_first(
        mine=r"میرا|میری|میرے|ہمارا|ہماری",
        things=r"بیلنس|بقایا|اکاؤنٹ نمبر|اکاؤنٹ|کھاتہ نمبر|کھاتے|کھاتے میں|آرڈر|پارسل|پیکج|"
        r"ڈیلیوری|اپائنٹمنٹ|فلائٹ|پرواز|ٹرین|سیٹ|بکنگ|بل|ادائیگی|تنخواہ|معاہدہ|سبسکرپشن|پیکیج|"
        r"درخواست|ریفنڈ|رزلٹ|نتیجہ|نمبر|پوائنٹس|قرض|یوزر نیم|order|balance|account number|parcel|"
        r"refund|salary",
        asks=r"کیا ہے|کتنا|کتنی|کتنے|کہاں|کب|کون|دکھائیں|دکھاؤ|بتائیں|بتاؤ|آیا|آ گیا|آگیا|پہنچا|"
        r"منظور|تیار|بھیجا",
        others=r"(?:مجھے|مجھ کو) میرا (?:بیلنس|آرڈر|بل) (?:دکھائیں|بتائیں)|میرے (?:پاس|اکاؤنٹ میں|"
        r"کھاتے میں) (?:[^ ]{1,20} ){0,2}(?:کتنا|کتنی|کتنے)|"
        r"(?:کہاں|کتنا|کب) ہے میرا|کیا میرا (?:آرڈر|پارسل|ریفنڈ|بل|پیکج) [^ ]{1,20}",
    ),
)
_DEVANAGARI: Final = _build_thing_first(
    mine="मेरा|मेरी|मेरे|हमारा|हमारी|हमारे",
    things="बैलेंस|शेष|शेष राशि|खाता संख्या|खाता नंबर|अकाउंट नंबर|खाते में|खाते|खाता|अकाउंट|"
    "ग्राहक संख्या|ऑर्डर|आर्डर|पार्सल|पैकेज|डिलीवरी|अपॉइंटमेंट|फ्लाइट|उड़ान|ट्रेन|सीट|बुकिंग|"
    "आरक्षण|बिल|भुगतान|"
    "वेतन|सैलरी|अनुबंध|सदस्यता|प्लान|आवेदन|रिफंड|परिणाम|रिजल्ट|अंक|कार्ट|पॉइंट्स|कर्ज|यूजरनेम|"
    "सामान|पैसा|पैसे|order|balance|account number|parcel|refund|salary",
    asks="क्या है|कितना|कितनी|कितने|कहाँ|कहा|कब|कौन|दिखाओ|दिखाएं|दिखाइए|बताओ|बताएं|बताइए|आया|"
    "आ गया|आई|पहुँचा|पहुंचा|मंजूर|कन्फर्म|कंफर्म|स्वीकृत|तैयार|भेजा गया|निकला",
    others="मेरे (?:पास|खाते में|अकाउंट में) (?:[^ ]{1,20} ){0,2}(?:कितना|कितनी|कितने)|(?:कहाँ|"
    "कितना|कब) है मेरा|क्या (?:मेरा|मेरी) (?:ऑर्डर|पार्सल|रिफंड|बिल|पैकेज|आवेदन|बुकिंग|वेतन) "
    "(?:आ|पहुँच|भेज|मंजूर|स्वीकृत|कन्फर्म|तैयार|हो)[^ ]{0,8}|मुझ पर कितना (?:कर्ज|बकाया)|"
    "मुझे कितना (?:भुगतान करना|देना) (?:है|बाकी)",
)
_BENGALI: Final = _build_thing_first(
    mine="আমার|আমাদের",
    things="ব্যালেন্স|ব্যালান্স|অ্যাকাউন্ট নম্বর|একাউন্ট নম্বর|হিসাব নম্বর|অ্যাকাউন্টে|একাউন্টে|"
    "অ্যাকাউন্ট|অর্ডার|অর্ডারটি|অর্ডারের|পার্সেল|প্যাকেজ|ডেলিভারি|অ্যাপয়েন্টমেন্ট|ফ্লাইট|ট্রেন|"
    "সিট|বুকিং|বিল|পেমেন্ট|বেতন|"
    "চুক্তি|সাবস্ক্রিপশন|প্ল্যান|আবেদন|আবেদনের|রিফান্ড|ফলাফল|রেজাল্ট|নম্বর|পয়েন্ট|ঋণ|দেনা|"
    "ইউজারনেম|টাকা|order|balance|account number|parcel|refund",
    asks=(
        "কত|কত টাকা|কোথায়|কখন|কবে|কে|কী অবস্থা|কি অবস্থা|কী|কি|দেখাও|দেখান|বলুন|বলো|এসেছে|পৌঁছেছে|"
        "অবস্থা|অনুমোদিত|পাঠানো"
    ),
    others=("(?:কোথায়|কত|কবে) আমার (?:অর্ডার|পার্সেল|ব্যালেন্স|টাকা)|আমার (?:কাছে|কত)(?: আছে| টাকা| পয়েন্ট)"),
)
# No blanks between words: what follows the thing separates a question for it from one about it.
_NOT_WHERE_TO: Final = "(?!里|儿|看|查|下载|修改|找|改|可以|能|办|填|取消)"
_CHINESE: Final = (
    r"我的(?:套餐|会员等级|用户名|户名|卡号|账号)(?:是|叫)(?:什么|哪个)",
    (
        r"(?:我|咱)(?:们)?(?:自己)?(?:的)?(?:银行|账户|手机|当前|现在|信用卡|可用|"
        r"剩余){0,3}(?:余额|账号|账户号码|账户|卡号|户名|用户名|订单号|订单|包裹|快递|外卖|货|"
        r"预约|航班|火车|座位|预订|账单|付款|工资|合同|会员|套餐|流量|话费|申请|退款|成绩|"
        r"检查结果|结果|购物车|积分|欠款|欠费|额度|贷款)(?:的)?(?:现在|目前|还|一共|里|上|中|"
        r"大概|已经|状态|进度){0,3}"
        r"(?:是多少|有多少|还剩|剩多少|多少|是什么状态|什么状态|怎么样了|到了吗|到哪|到了没|"
        rf"在哪(?:里|儿)?{_NOT_WHERE_TO}|发货了|发货没|寄出|什么时候(?:到|送|发|来|出|交|过期|"
        r"到期)|几点|批准|通过了|确认了|"
        r"好了吗|是多少号|号是多少|发了吗|到账)"
    ),
    r"(?:我|俺)(?:现在|目前|一共|还|总共|的账户|账户|卡|账户里|卡里|里){0,4}(?:有|欠|剩|剩下|存了|"
    r"花了)(?:了)?多少(?:钱|积分|余额|流量|话费|天|假)",
    r"(?:^|[ 请帮])(?:查|查询|查看|显示|告诉我|帮我查)(?:一下|下)?我(?:的)?(?:账户|"
    r"银行卡){0,2}(?:余额|订单|账单|积分|快递|包裹|流量|话费)(?!.{0,6}(?:怎么|如何|方法|步骤))",
)
_JAPANESE: Final = (
    r"(?:私|僕|俺|わたし|自分)の(?:現在の|今の|次の|最新の)?(?:口座の|アカウントの)?(?:残高|"
    r"口座番号|会員番号|お客様番号|注文番号|ユーザー名|注文|荷物|配送|配達|予約|フライト|便|座席|"
    r"席|請求|請求額|支払い|給料|契約|プラン|利用量|"
    r"申請|返金|検査結果|成績|カート|ポイント|借金|限度額)(?:状況|の状況|の状態)?(?:は|って|が|"
    r"を)?(?:今|現在|いま|もう)?(?:いくら|何|なに|どこ|いつ|誰|どう|どれ|教えて|見せて|届|発送|"
    r"確認でき|承認|いくつ|残って|ありますか|$)",
    r"(?:残高|注文|荷物|予約|ポイント|返金)は(?:今|現在|いま)?(?:いくら(?:です|残)|どこ(?:です|"
    r"に(?:あり|い))|いつ(?:届|着))",
    r"(?:残高|ポイント)(?:を|は)(?:教えて|見せて)",
)
_KOREAN: Final = (
    r"(?:제|내|나의|저의|우리) (?:[^ ]{1,10} ){0,2}(?:잔액|잔고|계좌 ?번호|계좌|고객 ?번호|"
    r"회원 ?번호|주문 ?번호|아이디|주문|택배|배송|소포|예약|항공편|비행기|기차|좌석|청구서|요금|"
    r"결제|월급|급여|계약|구독|요금제|데이터|신청|환불|"
    r"검사 ?결과|결과|성적|장바구니|포인트|마일리지|빚|한도)(?:은|는|이|가|을|를|에|"
    r"의)? (?:[^ ]{1,10} ){0,2}?(?:얼마|뭐|무엇|어디|언제|누구|몇|알려|보여|도착했|왔|승인|확인됐|"
    r"발송|남았|상태|어떻게 (?:되|됐))",
    r"(?:잔액|주문|택배|포인트)(?:은|는|이|가)? (?:지금 )?(?:얼마(?:예요|에요|야|나|인가요| 남)|"
    r"어디(?:예요|에요|야| 있|쯤))",
)
_NUMBER_PHRASES: Final = (
    # An order, a ticket, an account by its number, in all of these languages.
    r" (?:bestellung|auftrag|vorgang|rechnung|kundennummer|kontonummer|bestellnummer|sendung|"
    r"commande|facture|dossier|compte|colis|pedido|factura|cuenta|reserva|"
    r"encomenda|fatura|conta|protocolo|ordine|fattura|conto|pratica|zamówienie|zamówienia|faktura|"
    r"konto|zgłoszenie|sipariş|siparişim|fatura|hesap|kargo|bestelling|factuur|"
    r"rekening|zending|pesanan|tagihan|resi|заказ|заказа|заказу|счет|договор|заявка|посылка|طلب|"
    r"طلبي|فاتورة|حساب|شحنة|آرڈر|بل|اکاؤنٹ|ऑर्डर|बिल|खाता|पार्सल|অর্ডার|বিল|অ্যাকাউন্ট|pedido|"
    r"order|ticket) "
    r"(?:(?:nr|no|num|n|nummer|numero|número|numéro|number|numarası|numaralı|nomor|numer|номер|"
    r"رقم|نمبر|नंबर|संख्या|নম্বর|mit der nummer|con (?:el )?número|avec le numéro|id|ma|"
    r"mein[^ ]{0,2}|ist|est|es|é|è|"
    r"jest|is|adalah) ){0,3}(?=[^ ]{0,30}\d)[^ ]{0,12}(?:\d|\d [^ ]{0,8})[^ ]{3,30} ",
    r"(?:订单|单号|订单号|账号|卡号|快递|运单|注文|注文番号|口座|주문|주문번호|계좌)(?:号|号码|"
    r"番号|번호)?(?:是|为|は|은|는)? ?[a-z]{0,4}\d[\da-z]{4,30}",
)


def _compile_phrases(*groups: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fold_to_plain(phrase) for group in groups for phrase in group))


_PHRASE_PATTERN: Final = _compile_phrases(
    _LATIN, _RUSSIAN, _ARABIC, _DEVANAGARI, _BENGALI, _CHINESE, _JAPANESE, _KOREAN
)
_LATIN_PATTERN: Final = _compile_phrases(_LATIN)
_NUMBER_PATTERN: Final = _compile_phrases(_NUMBER_PHRASES)


def asks_for_own_data(question: str) -> bool:
    """Return whether a question asks for the asker's own data, English aside. Linear."""
    sentences = split_plain_sentences(question)
    # A number may follow the dot of an abbreviation.
    return (
        any(map((_LATIN_PATTERN if question.isascii() else _PHRASE_PATTERN).search, sentences))
        or _NUMBER_PATTERN.search("".join(sentences).replace("  ", " ")) is not None
    )
