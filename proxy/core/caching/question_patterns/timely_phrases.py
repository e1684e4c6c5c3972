"""Detect questions whose answer changes within days or hours, in languages other than English.

The three kinds of `proxy.core.caching.question_patterns.timely`: subjects that always change,
questions about this very moment that are not about the asker, and questions about today without a
person in them. A question for the why or the how has the same answer tomorrow.
"""

import re
from dataclasses import dataclass
from typing import Final

from proxy.core.text.plain_words import fold_to_plain, split_plain_sentences


@dataclass(frozen=True, slots=True)
class _LanguagePhrases:
    """Regular expressions for one language.

    `still`: subjects that always change; `now`: this moment; `today`: this day; `asker`: I, my;
    `people`: any person; `timeless`: openings of questions whose answer does not change; `spaced`:
    words stand between blanks; `script`: what a sentence of it contains, where other languages
    share its words.
    """

    still: str
    now: str
    today: str
    asker: str
    people: str
    timeless: str
    spaced: bool = True
    script: str = ""


@dataclass(frozen=True, slots=True)
class _CompiledPhrases:
    still: re.Pattern[str]
    now: re.Pattern[str]
    today: re.Pattern[str]
    asker: re.Pattern[str]
    people: re.Pattern[str]
    timeless: re.Pattern[str]
    script: re.Pattern[str]


_LANGUAGES: Final = (
    _LanguagePhrases(  # German
        still=r"wetter|wettervorhersage|wie spät ist es|wieviel uhr|wie viel uhr|"
        r"welche[rsn]? (?:tag|datum|uhrzeit|wochentag|monat) (?:ist|haben wir)|"
        r"(?:aktuelle[nrs]?|neueste[nrs]?|jüngste[nrs]?|letzte) (?:[^ ]{1,20} )?(?:nachrichten|"
        r"schlagzeilen|stand|preis|preise|kurs|kurse|version|zinsen|"
        r"inflation|inflationsrate|wechselkurs|zinssatz|spielstand|ergebnis|ergebnisse|präsident|"
        r"kanzler)|wer hat (?:gestern|heute|das spiel)|"
        r"wer (?:ist|führt) (?:der|die)? ?(?:aktuelle|tabellenführer|aktuell)[^ ]{0,2}|(?:aktien|"
        r"gold|silber|öl|bitcoin|benzin)(?: )?(?:kurs|preis)|"
        r"wie steht der (?:euro|dollar|dax|franken)|kurs (?:von|der)|wechselkurs|wie steht (?:es|"
        r"das spiel)|nächste[rn]? (?:bus|zug|bahn|"
        r"flug|fähre|vollmond)",
        now=r"gerade jetzt|jetzt gerade|jetzt|(?:gibt es|ist|sind|läuft) gerade|"
        r"gerade (?:geöffnet|offen|geschlossen|los|online|in)|"
        r"momentan|im moment|zurzeit|zur zeit|derzeit|"
        r"im augenblick|augenblicklich|aktuell",
        today=r"heute|heute abend|morgen früh|gestern|heute nacht|diese woche|dieses wochenende|"
        r"am wochenende|übermorgen",
        asker="ich|mein|meine|meinen|meinem|meiner|mir|mich",
        people=(
            "ich|mein|meine|meinen|meinem|meiner|mir|mich|wir|uns|unser|unsere|du|dein|deine|sie|"
            "ihr|ihre|ihnen|euch|man"
        ),
        timeless="warum|wieso|weshalb|wie kann|wie macht|wozu",
    ),
    _LanguagePhrases(  # French
        still=r"météo|quel temps (?:fait il|fera t il|va t il)|quelle heure est il|"
        r"il est quelle heure|quel jour (?:sommes nous|on est|est on)|on est quel jour|"
        r"quelle (?:est la )?date (?:d aujourd hui|sommes nous)?|(?:dernières|dernière|derniers|"
        r"dernier|actuel|actuelle|actuels) (?:nouvelles|infos|actualités|version|"
        r"score|scores|prix|cours|taux|résultats)|(?:cours|prix) (?:actuel )?(?:du|de l|"
        r"de) (?:bitcoin|or|pétrole|essence|argent|action|[^ ]{1,15} en bourse)|"
        r"(?:prix|taux|cours|président|score|version|ministre) (?:de change|actuels?|actuelle)|"
        r"taux de change|qui a gagné (?:hier|le match|ce)|qui gagne|"
        r"prochain (?:bus|train|vol|métro|tram|ferry)|actualités",
        now=r"maintenant|en ce moment|à l instant|actuellement|à l heure actuelle|pour l instant",
        today=r"aujourd hui|ce soir|demain|hier|hier soir|cette nuit|ce matin|cet après midi|"
        r"cette semaine|ce week end",
        asker="je|j|mon|ma|mes|me|m|moi",
        people="je|j|mon|ma|mes|me|m|moi|nous|notre|nos|vous|votre|vos|tu|ton|ta|tes|on",
        timeless="pourquoi|comment (?:faire|peut on|puis je|on)|comment",
    ),
    _LanguagePhrases(  # Spanish
        still=r"va a llover|lloverá|llueve|(?:el )?clima (?:en|de hoy|hoy)|qué tiempo (?:hace|"
        r"hará|va)|"
        r"pronóstico (?:del tiempo|del clima|para)|el tiempo (?:en [^ ]{1,20} )?(?:hoy|mañana|"
        r"ahora)|"
        r"qué hora (?:es|son)|qué horas son|qué (?:día|fecha|mes) (?:es|estamos)|a cómo está|"
        r"a cuánto está|(?:últimas|última|último|últimos|actual|actuales) "
        r"(?:noticias|noticia|hora|versión|resultados|precio|precios|cotización|tasa)|(?:precio|"
        r"cotización|valor) (?:actual )?(?:del|de la|de) "
        r"(?:bitcoin|oro|plata|petróleo|gasolina|dólar|euro|acción|acciones)|(?:precio|tasa|tipo|"
        r"versión|presidente|inflación) (?:de cambio|actual)|tipo de cambio|quién ganó|"
        r"quién va ganando|"
        r"cómo (?:va|quedó) el partido|próximo (?:autobús|bus|tren|vuelo|metro|ferry)|"
        r"noticias de (?:hoy|última)",
        now=r"ahora|ahora mismo|en este momento|en estos momentos|actualmente|ahorita|justo ahora",
        today=r"hoy|esta noche|mañana por la (?:mañana|tarde|noche)|ayer|anoche|esta (?:mañana|"
        r"tarde|semana)|este fin de semana|hoy en día|para mañana",
        asker="yo|mi|mis|me|puedo|quiero|necesito|tengo|debo|hago|pido|pago|compro|estoy|recibí",
        people="yo|mi|mis|me|puedo|quiero|necesito|tengo|debo|hago|pido|pago|compro|estoy|recibí|"
        "podemos|nosotros|nuestro|nuestra|tu|tus|su|sus|usted|ustedes|"
        "puedes|puede|pueden|tienen|ofrecen|hacen|tienes|abro|solicito|cambio|cancelo",
        timeless="por qué|cómo (?:puedo|se|hago|hacer)|cómo",
    ),
    _LanguagePhrases(  # Portuguese
        still=r"previsão do tempo|como (?:está|tá|vai estar|estará) o (?:tempo|clima)|(?:tempo|"
        r"clima) (?:hoje|amanhã|agora)|que horas são|que horas (?:é|sao)|que dia é hoje|"
        r"qual é a data|que (?:dia|mês) (?:é|estamos)|(?:últimas|última|último|atual|"
        r"atuais) (?:notícias|notícia|versão|resultados?|cotação|preço|taxa)|"
        r"(?:preço|cotação|valor) (?:atual )?(?:do|da|de) (?:bitcoin|ouro|prata|petróleo|gasolina|"
        r"dólar|euro|ação|ações)|(?:preço|taxa|versão|presidente|inflação) (?:de câmbio|atual)|"
        r"taxa de câmbio|quem ganhou|quem está ganhando|quanto (?:está|tá) o (?:jogo|dólar|euro)|"
        r"próximo (?:ônibus|autocarro|trem|comboio|voo|metrô|barco)|notícias de hoje",
        now=r"agora|agora mesmo|neste momento|nesse momento|no momento|atualmente|já já",
        today=r"hoje|esta noite|hoje à noite|amanhã|ontem|ontem à noite|esta (?:manhã|tarde|"
        r"semana)|essa semana|este fim de semana",
        asker=(
            "eu|meu|minha|meus|minhas|me|posso|quero|preciso|tenho|devo|faço|pago|"
            "compro|estou|recebi"
        ),
        people="eu|meu|minha|meus|minhas|me|posso|quero|preciso|tenho|devo|faço|pago|compro|estou|"
        "recebi|podemos|nós|nosso|nossa|você|vocês|seu|sua|seus|suas|tem|têm|fazem|"
        "oferecem|abro|peço",
        timeless="por que|porque|como (?:posso|faço|se|fazer|é)",
    ),
    _LanguagePhrases(  # Italian
        still=r"meteo|che tempo (?:fa|farà|c è)|previsioni (?:del tempo|meteo)|che ore sono|"
        r"che ora è|che giorno è|(?:ultime|ultima|ultimi|ultimo|attuale|attuali) "
        r"(?:notizie|notizia|versione|risultati|quotazione|prezzo|tasso)|(?:prezzo|quotazione|"
        r"valore) (?:attuale )?(?:del|della|dell|di) (?:bitcoin|oro|argento|petrolio|benzina|"
        r"dollaro|azione|azioni)|"
        r"(?:prezzo|tasso|versione|presidente|inflazione) (?:di cambio|attuale)|tasso di cambio|"
        r"chi ha vinto|chi sta vincendo|prossimo (?:autobus|treno|volo|traghetto|tram)|"
        r"notizie di oggi",
        now=r"adesso|ora come ora|in questo momento|proprio ora|attualmente|al momento|(?:è|"
        r"sono) (?:apert|chius)[oaie] ora",
        today=r"oggi|stasera|domani|ieri|ieri sera|stamattina|stanotte|questa (?:mattina|sera|"
        r"settimana)|questo pomeriggio|questo weekend",
        asker="io|mio|mia|miei|mie|mi|posso|voglio|devo|ho|faccio|pago|sono|vorrei",
        people="io|mio|mia|miei|mie|mi|posso|voglio|devo|ho|faccio|pago|sono|vorrei|noi|nostro|"
        "nostra|possiamo|voi|vostro|vostra|lei|tu|tuo|tua|avete|fate|offrite|consegnate|si",
        timeless="perché|come (?:posso|si|faccio|fare)",
    ),
    _LanguagePhrases(  # Dutch
        still=r"(?:wat voor |het )?weer (?:in|vandaag|morgen|nu|wordt|is)|weersverwachting|"
        r"weerbericht|hoe laat is het|welke dag is het|welke datum|wat is de datum|"
        r"(?:laatste|nieuwste|huidige|actuele) (?:nieuws|versie|prijs|koers|stand|rente|inflatie|"
        r"wisselkoers|president|premier|uitslag|uitslagen)|wisselkoers|"
        r"(?:aandelen|goud|bitcoin|olie|benzine)(?: )?(?:koers|prijs)|prijs van (?:bitcoin|goud|"
        r"olie)|wie heeft (?:gisteren )?(?:[^ ]{1,15} ){0,2}gewonnen|wie staat er voor|"
        r"volgende (?:bus|trein|vlucht|tram|veerboot)",
        now=r"nu|op dit moment|momenteel|thans|nu meteen",
        today=r"vandaag|vanavond|morgen|gisteren|gisteravond|vanmorgen|vanmiddag|vannacht|"
        r"deze week|dit weekend",
        asker="ik|mijn|me|mij",
        people="ik|mijn|me|mij|wij|we|ons|onze|jij|je|jouw|u|uw|jullie|men",
        timeless="waarom|hoe kan|hoe doe|hoe moet",
    ),
    _LanguagePhrases(  # Polish
        still=r"pogoda|pogodę|prognoza pogody|która (?:jest )?godzina|która jest teraz|"
        r"jaki (?:dziś|jest|dzisiaj|mamy) (?:dzień|dziś|dzisiaj)|jaki dzień|którego (?:dziś|mamy|"
        r"dzisiaj)|"
        r"jaka (?:jest )?(?:dziś|dzisiejsza )?data|(?:najnowsz[aey]|ostatni[ea]|aktualn[aey]|"
        r"bieżąc[aey]|obecn[aey]) (?:wiadomości|wersja|wersję|cena|ceny|kurs|stawka|inflacja|"
        r"prezydent|premier|wynik|wyniki)|"
        r"kurs (?:dolara|euro|franka|bitcoina|walut|akcji|funta)|cena (?:bitcoina|złota|ropy|"
        r"benzyny|srebra)|kto wygrał|kto prowadzi|jaki jest wynik|następny (?:autobus|pociąg|lot|"
        r"tramwaj)|najbliższy (?:autobus|pociąg)",
        now=r"teraz|w tej chwili|obecnie|aktualnie|w tym momencie|właśnie teraz",
        today=r"dziś|dzisiaj|jutro|wczoraj|dziś wieczorem|dzisiejsz[aeyi][^ ]{0,2}|w tym tygodniu|"
        r"w ten weekend|dziś rano",
        asker=(
            "ja|mój|moja|moje|mojego|mojej|moim|mi|mnie|mogę|chcę|muszę|mam|jestem|robię|płacę|"
            "kupię|otrzymałem|dostałem"
        ),
        people="ja|mój|moja|moje|mojego|mojej|moim|mi|mnie|mogę|chcę|muszę|mam|jestem|robię|płacę|"
        "kupię|otrzymałem|dostałem|możemy|my|nasz|nasza|wy|wasz|wasza|pan|pani|państwo|"
        "macie|oferujecie|możecie|robicie|można|zamówię",
        timeless="dlaczego|czemu|jak (?:mogę|można|zrobić|się)",
    ),
    _LanguagePhrases(  # Turkish
        still=r"hava (?:durumu|nasıl|kaç derece|bugün|yarın)|hava bugün nasıl|saat kaç|"
        r"bugün (?:günlerden ne|ayın kaçı|hangi gün)|tarih ne|(?:son|güncel|en son|şu anki|"
        r"en yeni) "
        r"(?:haberler|haber|durum|sürüm|sürümü|fiyat|fiyatı|kur|faiz|dakika|cumhurbaşkanı|"
        r"versiyon)|(?:dolar|euro|altın|bitcoin|benzin|gümüş|hisse) (?:kaç|ne kadar|kuru|fiyatı|"
        r"fiyatları)|döviz kuru|"
        r"maçı kim kazandı|kim kazandı|maç kaç kaç|sonraki (?:otobüs|tren|uçuş|vapur|metro)",
        now=r"şimdi|şu an|şu anda|şu sıralar|şuan|şuanda|hâlâ|halen|hâlen",
        today=r"bugün|bu akşam|bu gece|yarın|dün|dün akşam|dün gece|bu sabah|bu hafta|hafta sonu",
        asker=r"ben|benim|bana|beni|[^ ]{2,30}(?:miyim|mıyım|muyum|müyüm|meliyim|malıyım|yorum|"
        r"abilirim|ebilirim)|kartım|hesabım|siparişim|hesabımı|siparişimi|kartımı",
        people=r"ben|benim|bana|beni|biz|bizim|sen|senin|siz|sizin|[^ ]{0,30}(?:miyim|mıyım|muyum|"
        r"müyüm|meliyim|malıyım|yorum|abilirim|ebilirim|siniz|sınız|sunuz|sünüz|misin|mısın|yoruz)|"
        "kartım|hesabım|siparişim|hesabımı|siparişimi|kartımı",
        timeless="neden|niye|niçin|nasıl [^ ]{1,20}(?:ir|ır|ur|ür|irim|ırım|urum|ürüm)",
    ),
    _LanguagePhrases(  # Indonesian
        still=r"cuaca|prakiraan cuaca|jam berapa (?:sekarang|ini)|sekarang jam berapa|"
        r"pukul berapa (?:sekarang|ini)|hari (?:apa|ini hari apa)|tanggal berapa (?:hari ini|"
        r"sekarang)?|"
        r"(?:berita|harga|versi|kurs|skor|suku bunga|hasil|presiden|"
        r"inflasi) (?:[^ ]{1,15} )?(?:terbaru|terkini|terakhir|saat ini|sekarang|hari ini)|"
        r"kurs (?:dolar|rupiah|euro)|harga (?:emas|bitcoin|minyak|bensin|saham)|"
        r"siapa yang menang|siapa pemenang|(?:bus|kereta|penerbangan|kapal) (?:berikutnya|"
        r"selanjutnya)",
        now=r"sekarang|saat ini|sekarang juga|kini|detik ini",
        today=r"hari ini|malam ini|besok|kemarin|tadi malam|semalam|pagi ini|siang ini|sore ini|"
        r"minggu ini|akhir pekan ini",
        asker="saya|aku|ku|gue|gw",
        people="saya|aku|ku|gue|gw|kami|kita|kamu|anda|kalian",
        timeless="mengapa|kenapa|bagaimana cara",
    ),
    _LanguagePhrases(  # Russian
        still=r"погода|погоду|прогноз погоды|который час|сколько (?:сейчас )?времени|"
        r"какое (?:сегодня|сейчас) (?:число|время|день)|какой (?:сегодня|сейчас) (?:день|год|"
        r"месяц)|какая (?:сегодня|сейчас) дата|"
        r"(?:последние|последняя|свежие|текущий|текущая|актуальный|актуальная|нынешний|"
        r"новейшая) (?:новости|версия|курс|цена|ставка|результаты|инфляция|президент|прогноз|"
        r"погода|цены)|"
        r"курс (?:доллара|евро|рубля|юаня|биткоина|валют|валюты|акций|биткойна)|(?:цена|"
        r"стоимость) (?:биткоина|золота|нефти|бензина|серебра|акций)|кто (?:вчера )?(?:выиграл|"
        r"победил|побеждает|лидирует)|"
        r"сколько стоит (?:биткоин|доллар|евро|золото|нефть)|какой счет|следующий (?:автобус|"
        r"поезд|рейс|трамвай)|ближайший (?:автобус|поезд|рейс)",
        now=r"сейчас|прямо сейчас|в данный момент|в настоящее время|в эту минуту|теперь",
        today=r"сегодня|сегодня вечером|завтра|вчера|вчера вечером|сегодня утром|на этой неделе|"
        r"в эти выходные|послезавтра|позавчера",
        asker="я|мой|моя|мое|мои|моего|моей|мою|моих|мне|меня",
        people=(
            "я|мой|моя|мое|мои|моего|моей|мою|моих|мне|меня|мы|наш|наша|нас|нам|вы|ваш|ваша|ваши|"
            "вас|вам|ты|твой|тебя|люди|можно"
        ),
        timeless="почему|зачем|отчего|как (?:можно|мне|сделать)",
    ),
    _LanguagePhrases(  # Arabic
        still=r"(?:حالة |كيف )?(?:ال)?طقس|(?:ال)?جو (?:اليوم|غدا|الآن)|درجة الحرارة (?:اليوم|الآن|"
        r"في)|كم الساعة|كم (?:هي )?الساعة|الساعة كم|ما هو الوقت|ما الوقت|ما (?:هو )?تاريخ اليوم|"
        r"أي يوم|ما اليوم|"
        r"(?:آخر|احدث|أحدث) (?:الأخبار|الاخبار|خبر|إصدار|اصدار|نسخة|التطورات|الأسعار|نتائج)|"
        r"سعر (?:صرف |)?(?:الدولار|اليورو|الذهب|البيتكوين|النفط|البنزين|سهم|الفضة|الصرف)|سعر الصرف|"
        r"(?:السعر|الرئيس|الإصدار|المعدل|الوضع) (?:الحالي|الحالية)|من (?:فاز|الفائز|يفوز)|"
        r"كم النتيجة|(?:الحافلة|القطار|الرحلة) (?:التالي|التالية|القادم|القادمة)|أخبار اليوم",
        now=r"الآن|حاليا|حالياً|في هذه اللحظة|دلوقتي|هلق|الحين",
        today=r"اليوم|الليلة|غدا|غداً|أمس|امس|البارحة|بكرا|بكرة|هذا الصباح|هذا المساء|هذا الأسبوع|"
        r"النهاردة",
        asker=r"أنا|لي|لدي|عندي|يمكنني|أستطيع|أريد|أحتاج|علي|[^ ]{3,20}ي",
        people=r"أنا|لي|لدي|عندي|يمكنني|أستطيع|أريد|أحتاج|علي|نحن|لنا|يمكننا|أنت|أنتم|لديكم|عندكم|"
        r"يمكنك|يمكنكم|لك|لكم|[^ ]{3,20}كم|حسابي|طلبي|بطاقتي|افتح|اطلب|ألغي",
        timeless="لماذا|ليش|كيف (?:يمكن|يمكنني|أستطيع)",
    ),
    _LanguagePhrases(  # Hindi
        still=r"मौसम|कितने बजे हैं|कितना बज[^ ]{0,3}|क्या (?:समय|टाइम) (?:हुआ|हो)[^ ]{0,4}|(?:समय|"
        r"टाइम) क्या|आज (?:कौन सा|कौनसा|क्या) दिन|आज (?:की |क्या )?(?:तारीख|तिथि|डेट)|"
        r"(?:ताजा|ताज़ा|नवीनतम|लेटेस्ट|वर्तमान|मौजूदा|आज का|आज की|"
        r"आज के) (?:[^ ]{1,15} )?(?:समाचार|खबर|खबरें|न्यूज़|संस्करण|वर्जन|कीमत|भाव|दर|रेट|स्कोर|"
        r"राष्ट्रपति|प्रधानमंत्री)|"
        r"(?:सोने|चांदी|बिटकॉइन|पेट्रोल|डॉलर|शेयर) (?:का|की|के) (?:भाव|कीमत|रेट|दाम)|विनिमय दर|"
        r"कौन जीता|किसने जीता|मैच का स्कोर|अगली (?:बस|ट्रेन|फ्लाइट)",
        now=r"अभी|इस समय|इस वक्त|फिलहाल|इस पल|वर्तमान में|अब",
        today=r"आज|आज रात|आज शाम|कल|बीते कल|आज सुबह|इस हफ्ते|इस सप्ताह",
        asker=r"मैं|मैंने|मेरा|मेरी|मेरे|मुझे|मुझको|अपना|अपनी|अपने",
        people=r"मैं|मैंने|मेरा|मेरी|मेरे|मुझे|मुझको|अपना|अपनी|अपने|हम|हमारा|हमारी|हमें|आप|आपका|"
        r"आपकी|आपके|तुम|लोग",
        timeless="क्यों|क्यूँ|कैसे करें|कैसे करूँ|कैसे कर",
    ),
    _LanguagePhrases(  # Bengali
        still=r"আবহাওয়া|কয়টা বাজে|কটা বাজে|এখন (?:সময় |)?কত|সময় কত|আজ (?:কী|কি|কোন) (?:বার|"
        r"দিন)|আজকের (?:তারিখ|দিন|খবর)|আজ কত তারিখ|(?:সর্বশেষ|সাম্প্রতিক|বর্তমান|আজকের|তাজা|"
        r"নতুন) (?:[^ ]{1,15} )?"
        r"(?:খবর|সংবাদ|সংস্করণ|দাম|মূল্য|দর|রেট|স্কোর|রাষ্ট্রপতি|প্রধানমন্ত্রী)|(?:সোনার|রুপার|"
        r"বিটকয়েনের|তেলের|পেট্রোলের|ডলারের|শেয়ারের) (?:দাম|রেট|দর|মূল্য)|বিনিময় হার|কে জিতেছে|"
        r"কে জিতল|খেলার স্কোর|"
        r"পরবর্তী (?:বাস|ট্রেন|ফ্লাইট|লঞ্চ)",
        now=r"এখন|এই মুহূর্তে|বর্তমানে|এক্ষুনি|এখনই",
        today=r"আজ|আজকে|আজ রাতে|আজ সন্ধ্যায়|কাল|আগামীকাল|গতকাল|আজ সকালে|এই সপ্তাহে",
        asker=r"আমি|আমার|আমাকে|আমাদের",
        people=r"আমি|আমার|আমাকে|আমাদের|আমরা|আপনি|আপনার|আপনারা|আপনাদের|তুমি|তোমার|মানুষ",
        timeless="কেন|কিভাবে|কীভাবে",
    ),
    _LanguagePhrases(  # Urdu
        still=r"موسم|کتنے بجے ہیں|کیا (?:وقت|ٹائم) ہوا|(?:وقت|ٹائم) کیا|آج (?:کون سا|کونسا|"
        r"کیا) دن|آج (?:کی )?(?:کیا )?تاریخ|(?:تازہ ترین|تازہ|موجودہ|آج کا|آج کی|"
        r"نیا ترین) (?:[^ ]{1,15} )?(?:خبر|خبریں|خبروں|ورژن|"
        r"قیمت|ریٹ|شرح|سکور|اسکور|صدر|وزیراعظم)|(?:سونے|چاندی|بٹ کوائن|پٹرول|ڈالر|شیئر) (?:کا|کی|"
        r"کے) (?:بھاؤ|قیمت|ریٹ|دام)|شرح تبادلہ|کون جیتا|کس نے جیتا|میچ کا (?:سکور|اسکور)|"
        r"اگلی (?:بس|ٹرین|فلائٹ)",
        now=r"ابھی|اس وقت|فی الحال|اس لمحے|اب",
        today=r"آج|آج رات|آج شام|کل|آج صبح|اس ہفتے",
        asker=r"میں نے|میرا|میری|میرے|مجھے|اپنا|اپنی|اپنے|سکتا ہوں|سکتی ہوں",
        people=r"میں نے|میرا|میری|میرے|مجھے|اپنا|اپنی|اپنے|سکتا ہوں|سکتی ہوں|ہم|ہمارا|ہمیں|آپ|"
        r"آپکا|تم|لوگ",
        timeless="کیوں|کیسے کریں|کیسے کر",
    ),
    _LanguagePhrases(  # Chinese
        still=r"天气|气温|几点了|几点钟|现在几点|现在是?什么时间|今天(?:是)?(?:几号|星期几|周几|"
        r"礼拜几|什么日子|几月几)|今天的日期|星期几|(?:最新|当前|目前|现在|今日|"
        r"今天)的?.{0,8}(?:新闻|消息|头条|版本|价格|股价|汇率|利率|比分|行情|情况|金价|油价|总统|"
        r"首相|总理)|"
        r"汇率|股价|金价|油价|比特币.{0,6}(?:价格|多少钱)|谁赢了|谁赢|比分|下一?(?:班|趟)(?:车|"
        r"公交|地铁|火车|飞机|航班|船)|头条",
        now="现在|此刻|目前|这会儿|当前|正在|此时",
        today="今天|今晚|明天|昨天|昨晚|今早|后天|这周|本周|今日|明日|这个周末",
        asker="我|咱|俺|本人",
        people="我|咱|俺|本人|你|您|人们",
        timeless="为什么|为何|怎么(?:办理|做|开|申请|使用|设置|才能|样才能)|如何",
        spaced=False,
        script=r"^[^\u3041-\u30ff]{1,20000}$",
    ),
    _LanguagePhrases(  # Japanese
        still=r"天気|気温|何時ですか|今何時|何時(?:かな|だ|です|$)|今日は?何(?:日|曜日)|何曜日|"
        r"(?:最新|現在|今日|今)の?.{0,8}(?:ニュース|バージョン|価格|株価|レート|為替|スコア|金利|"
        r"状況|首相|大統領)|株価|為替レート|ビットコイン.{0,6}(?:価格|いくら)|"
        r"誰が(?:勝|優勝)|次の(?:バス|電車|便|フライト|列車)",
        now="今すぐ|いま|現在|今(?=は|、|、| |開|営|の|何|空|混)|ただいま|只今",
        today="今日|本日|今夜|明日|昨日|昨夜|今朝|今週|今晩|明後日",
        asker="私|僕|俺|わたし|自分",
        people="私|僕|俺|わたし|自分|我々|私たち|あなた|御社|貴社|できますか|もらえますか",
        timeless="なぜ|どうして|どうすれば|どうやって|方法",
        spaced=False,
        script="[\u3041-\u30ff]",
    ),
    _LanguagePhrases(  # Korean
        still=r"날씨|기온|몇 ?시(?:예요|에요|야|인가요|입니까|니)|지금 몇 ?시|오늘(?:은|"
        r"이)? ?(?:며칠|무슨 ?요일|몇 ?일)|무슨 요일|(?:최신|현재|오늘|지금)의? ?.{0,8}(?:뉴스|"
        r"소식|버전|가격|주가|환율|금리|점수|시세|대통령|총리)|환율|주가|비트코인.{0,6}(?:가격|"
        r"얼마)|"
        r"누가 ?(?:이겼|우승)|다음 ?(?:버스|기차|열차|비행기|지하철)",
        now="지금|현재|방금|이 ?순간",
        today="오늘|오늘 ?밤|내일|어제|어젯밤|오늘 ?아침|이번 ?주|이번 ?주말|모레",
        asker="나는|내가|저는|제가|제 |내 |나의|저의",
        people=(
            "나는|내가|저는|제가|제 |내 |나의|저의|우리|당신|여러분|귀사|할 수 "
            "있(?:나요|습니까|어요)|수 있나요"
        ),
        timeless="왜|어떻게 (?:하|해)|방법",
        spaced=False,
    ),
)


def _compile_language(language: _LanguagePhrases) -> _CompiledPhrases:
    names = ("still", "now", "today", "asker", "people", "timeless")
    shape = " (?:{}) " if language.spaced else "(?:{})"
    compiled = {
        name: re.compile(shape.format(fold_to_plain(getattr(language, name)))) for name in names
    }
    return _CompiledPhrases(script=re.compile(language.script), **compiled)


def _is_written_in_ascii(language: _LanguagePhrases) -> bool:
    """Whether any phrase of the language may be found in an ASCII text."""
    phrases = fold_to_plain(language.still + language.now + language.today)
    return re.search("[a-z]", phrases) is not None


_COMPILED_LANGUAGES: Final = tuple(map(_compile_language, _LANGUAGES))
_ASCII_LANGUAGES: Final = tuple(map(_compile_language, filter(_is_written_in_ascii, _LANGUAGES)))


def asks_about_now(question: str) -> bool:
    """Return whether a question's answer holds for a short time only, English aside. Linear."""
    return any(
        _matches_now(rules, sentence)
        for sentence in split_plain_sentences(question)
        for rules in (_ASCII_LANGUAGES if sentence.isascii() else _COMPILED_LANGUAGES)
    )


def _matches_now(rules: _CompiledPhrases, sentence: str) -> bool:
    if not rules.script.search(sentence):
        return False
    if rules.still.search(sentence):
        return True
    if rules.timeless.search(sentence):
        return False
    if rules.now.search(sentence) and not rules.asker.search(sentence):
        return True
    return rules.today.search(sentence) is not None and rules.people.search(sentence) is None
