"""Detect whether the rules on question words know the language of a question.

A language is recognised by its small words (the, is, how), which every question has and which are
few. Nothing is guessed: a text without a small word of a known language is in an unknown one.
"""

import re
from typing import Final

from proxy.core.text.normalize import remove_invisible
from proxy.core.text.plain_words import MAX_READ_LENGTH, fold_to_plain

# Scripts of the known languages: Latin, Cyrillic, Arabic, Devanagari, Bengali, kana, Han, Hangul. A
# single Greek letter is a sign.
_OTHER_SCRIPT: Final = re.compile(
    "[^\\W\\d_\u0000-\u024f\u0250-\u02ff\u0370-\u03ff\u0400-\u04ff\u0600-\u06ff\u0750-\u077f\u0900-\u09ff\u1100-\u11ff\u1e00-\u1eff"
    "\u2100-\u214f\u3005-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
    "\U0001d400-\U0001d7ff]|[\u0370-\u03ff]{2}"
)
# Letters of unknown languages in known scripts: Ukrainian, Serbian, Kazakh; Pashto, Sindhi,
# Kurdish; Assamese.
_OTHER_LETTER: Final = re.compile(
    "[іїєґўђјљњћџѓќѕәғқңөұүһӯӣҷҳ\u067c\u0681\u0685\u0689\u0693\u0696\u069a\u06ab\u06bc\u06cd\u06d0\u06d5\u0695\u06b5\u06c6ڳڻ\u09f0\u09f1]"
)
_CANTONESE: Final = re.compile("[嘅咗嗰啲喺冇唔嚟哋咩乜噉佢]")
_KANA: Final = re.compile("[\u3041-\u30ff\u31f0-\u31ff]")
_HAN: Final = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_HANGUL: Final = re.compile("[\uac00-\ud7af]")
_WORD: Final = re.compile("[^\\W\\d_][\\w\u0900-\u0963\u0980-\u09e3]{0,100}")
_OTHER_LATIN_LETTERS: Final = re.compile(
    "[ășțţåæøřěůčšžďťňőűāēīūļķņģįųėđðþơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]"
)

_SMALL_WORDS: Final = {
    "en": (
        "a about after all am an and any are as at be been before being best between but by can "
        "cannot could did difference do does doing "
        "done during each every explain find for from get give had has have he her here him his "
        "how i if in into is isn it its just "
        "know like make many may me mean means more most much must my need no not of off on once "
        "one only or other our out over please "
        "same she should show so some such tell than thank thanks that the their them then there "
        "these they this those through to "
        "too under until up us use used using very want was way we were what when where whether "
        "which while who whom whose why will "
        "with without won work would write yes you your don doesn didn wasn aren couldn wouldn "
        "shouldn won ain let my mine hello hi "
        "what whats hows wheres im ive id ill dont doesnt cant isnt set solve define factor round "
        "list describe name rewrite draft generate start stop call pay turn "
        "play next cancel increase decrease check charged "
        "failed prefer pending got twice down meaning share remove add delete forgot forgotten "
        "lost stolen bought sold wash ignore accept "
        "activate disable enable yesterday today tomorrow tonight weather price prices send shows "
        "beat defeated roll renew write fix build "
        "reset translate summarize summarise calculate convert compare wrong broken missing late "
        "fees rates year week free best"
    ),
    "es": (
        "como cual cuales cuando cuanto cuantos cuanta cuantas donde que quien quienes porque por "
        "para con sin sobre entre desde hasta el "
        "la los las un una unos unas mi mis tu tus su sus nuestro nuestra es son esta estan estoy "
        "este esto estos estas ese esa eso hay "
        "hoy ahora puedo puede puedes pueden debo debe tengo tiene tienes hacer hago hace quiero "
        "necesito si no y o pero mas muy ya al "
        "del se me te le lo les nos ser fue era han he ha tambien todo todos toda cada otro otra "
        "aqui favor hola gracias va voy vas ayer manana"
    ),
    "fr": (
        "comment quel quelle quels quelles quand combien ou que qui quoi pourquoi est ce c est qu "
        "est le la les un une des du de au aux mon "
        "ma mes ton ta tes son sa ses notre nos votre vos leur je tu il elle on nous vous ils "
        "elles suis es sont etes ai as avons avez ont "
        "puis peut peux peuvent pouvez dois doit faire fais fait faut avec sans pour par sur dans "
        "en chez entre et mais ne pas plus tres y "
        "cette cet ces se me te lui aujourd hui si l d j n s qu bonjour merci svp"
    ),
    "pt": (
        "como qual quais quando quanto quantos quanta quantas onde que quem porque por para com "
        "sem sobre entre desde ate o a os as um uma "
        "uns umas meu minha meus minhas teu tua seu sua seus suas nosso nossa e eh sao esta estao "
        "estou este isto esse essa isso ha hoje agora "
        "posso pode podem devo deve tenho tem fazer faco faz quero preciso se nao sim e ou mas "
        "mais muito ja ao aos do da dos das no na nos "
        "nas pelo pela me te lhe ser foi era eu voce voces ola obrigado obrigada favor"
    ),
    "de": (
        "wie was wann wo wer wen wem wessen warum wieso weshalb welche welcher welches welchen "
        "wohin woher wieviel viel ist sind war waren bin "
        "bist sein hat habe haben hast kann kannst koennen konnen darf durfen muss mussen soll "
        "sollte wird werden wurde der die das den dem "
        "des ein eine einen einem einer mein meine meinen meinem meiner meines dein deine ihr "
        "ihre ihren unser unsere ich du er sie es wir mir mich "
        "dir dich uns euch und oder aber nicht kein keine auch noch schon nur mit ohne fur fuer "
        "bei von vom zu zum zur auf in im an am aus "
        "nach uber unter zwischen gegen bis seit heute jetzt gibt es man bitte hallo danke wenn "
        "dass ob"
    ),
    "it": (
        "come quale quali quando quanto quanti quanta quante dove che chi perche cosa cos qual "
        "per con senza su tra fra da di a in il lo la i "
        "gli le un uno una mio mia miei mie tuo tua suo sua suoi nostro vostro e sono sei siamo "
        "ha ho hai hanno abbiamo posso puo possono puoi "
        "devo deve fare faccio fa voglio serve si no non o ma anche piu molto gia al alla allo ai "
        "agli alle del della dello dei degli delle "
        "nel nella sul sulla dal dalla questo questa questi quello oggi adesso ora c mi ti ci vi "
        "l d un ciao grazie favore"
    ),
    "tr": (
        "nasil ne nedir neden nicin nerede nereye nereden kim kime hangi kac kaca mi mu ve veya "
        "ile icin bir bu su o ben sen biz siz onlar "
        "benim senin bizim sizin bana sana var yok mudur midir degil daha en cok az gibi kadar "
        "sonra once bugun simdi yarin dun olur olarak "
        "olan edebilir miyim yapabilir lutfen merhaba tesekkurler ama da de ki her hic kez kadar "
        "nelerdir misiniz musunuz eder"
    ),
    "pl": (
        "jak jaki jaka jakie jakich co kiedy gdzie kto czy dlaczego ile ktory ktora ktore czym "
        "czego jest sa byl byla bylo bylem mam masz ma "
        "maja moge mozna moze musze musi nalezy trzeba moj moja moje mojego mojej moich moim twoj "
        "twoja swoj swoje swoja swojego nasz wasz ja ty on ona my "
        "wy oni sie nie tak i oraz lub albo ale na w we z ze do od dla przez przy po pod nad o za "
        "u bez to ten ta te tego dzis dzisiaj teraz "
        "juz tylko bardzo mi mnie jesli gdy prosze dziekuje dzien dobry"
    ),
    "nl": (
        "hoe wat waar wanneer wie waarom welke hoeveel is zijn was waren ben bent heeft heb "
        "hebben kan kun kunnen mag moet moeten zal wordt "
        "worden werd de het een mijn jouw uw zijn haar ons onze ik jij je u hij zij ze wij we "
        "jullie mij me en of maar niet geen ook nog al "
        "alleen met zonder voor bij van naar op in aan uit over onder tussen tegen tot sinds "
        "vandaag nu er dit dat die deze om te als want "
        "graag hallo bedankt alstublieft doe ga"
    ),
    "id": (
        "bagaimana apa apakah kapan dimana mana siapa mengapa kenapa berapa yang dan atau tetapi "
        "tapi di ke dari untuk dengan tanpa pada oleh "
        "dalam saya aku kamu anda kami kita dia mereka ini itu adalah ada tidak bukan belum sudah "
        "bisa dapat harus akan boleh ingin mau jika "
        "kalau karena cara lebih paling sangat juga hari sekarang tolong halo terima kasih saja "
        "ya nya agar"
    ),
    "ru": (
        "как что кто где когда почему зачем сколько какой какая какое какие каким куда откуда чей "
        "чем ли и а но или не ни да нет в во на с со "
        "к ко по за из от до для при без под над о об у через между я ты он она оно мы вы они мне "
        "меня мой моя мое мои моего моей моих моим свой свою свои "
        "мою твой ваш ваша наш это этот эта эти тот есть был была было были быть будет можно "
        "нужно надо могу может если чтобы уже еще "
        "только очень там тут здесь сейчас сегодня такое такой пожалуйста спасибо здравствуйте "
        "привет который которая которое сколько чья"
    ),
    "ar": (
        "ما ماذا هل كيف اين متى كم من لماذا لمن أي اى ماهو ماهي هو هي هم انا أنا انت نحن في على "
        "الى إلى عن مع بدون بعد قبل بين حتى هذا هذه "
        "ذلك تلك التي الذي كان كانت يمكن يمكنني أستطيع اريد أريد يجب لا لم لن ليس و أو ثم قد لي "
        "لدي عندي كل بعض أكثر الآن اليوم غدا "
        "يوجد توجد تم وما وهل فضلك شكرا مرحبا يكون تكون"
    ),
    "ur": (
        "کیا کہاں کب کیسے کیوں کون کتنا کتنی کتنے کس کسی ہے ہیں تھا تھی تھے ہوں ہو میں میرا میری "
        "میرے مجھے ہم ہمارا آپ آپکا اپنا اپنی اپنے کا کی کے "
        "کو سے پر تک اور یا نہیں نہ یہ وہ اس ان جو لیے ساتھ بعد پہلے آج ابھی کل کر کریں کرنا سکتا "
        "سکتی سکتے ہوا ہوگا گا گی گے رہا رہی رہے چاہیے براہ شکریہ کیسا کیسی کونسا"
    ),
    "hi": (
        "क्या कहाँ कब कैसे क्यों कौन कितना कितनी कितने किस किसी है हैं था थी थे हूँ हो मैं मेरा "
        "मेरी मेरे मुझे हम हमारा आप आपका अपना अपनी अपने का की "
        "के को से पर में तक और या नहीं न यह वह इस उस इन जो लिए साथ बाद पहले आज अभी कल कर करें "
        "करना करे करूँ सकता सकती सकते हुआ होगा गा रहा रही रहे "
        "चाहिए कृपया धन्यवाद नमस्ते क्यूँ कौनसा कैसा कैसी बदलें होता होती होते मिलेगा जाएगा"
    ),
    "bn": (
        "কি কী কোথায় কখন কিভাবে কীভাবে কেন কে কত কতটা কতগুলো কোন আমি আমার আমাকে আমরা আমাদের আপনি "
        "আপনার তুমি তোমার সে তার তারা এই ওই এটি এটা সেটা ও এবং "
        "বা না নেই নয় আছে ছিল হয় হবে হয়েছে হচ্ছে করা করব করবো করতে করে করি পারি পারব পারেন "
        "জন্য থেকে সাথে পর আগে আজ আজকে এখন কাল একটি একটা যদি "
        "দয়া ধন্যবাদ নমস্কার যায় যাবে টি হল কেমন আজকের কয়টা কটা কবে"
    ),
}
# Small words of languages without rules, those that none of the known ones has: Scandinavian,
# Finnish, Czech and Slovak, Hungarian, Romanian, Croatian, Catalan, Vietnamese, Tagalog, Swahili,
# Afrikaans, Malay, Hindi and Urdu in Latin letters, Bulgarian, Ukrainian, Persian, Marathi, Nepali.
_OTHER_SMALL_WORDS: Final = frozenset(
    (
        "hur vad vilken vilket vilka nar varfor vem ar och inte jag mitt mina min mitt ett hvad "
        "hvor hvornar hvordan hvorfor hvem hvilken er og "
        "ikke jeg mit hva nar hvilke det som kan skal jag nu idag mikä mika miten missa milloin "
        "miksi kuka onko ovat minun ja ei voinko kuinka "
        "paljon mista nyt tanaan jaky jaka jake kdy kde kdo proc kolik muj moje je jsem jsou nebo "
        "pro dnes ted aky kedy kolko moj som "
        "alebo mennyi hogyan mikor hol mi miert melyik van az egy nem hogy vagy mennyit most care "
        "cand unde cum cine cat este sunt meu mea "
        "mis kell kus kuidas millal palju eshte ora kur zer ordu nire non noiz coletul ceasul "
        "soldul comanda mea contul pentru si nu sau acum astazi ce kako gdje kada koliko koji moj "
        "moja je li sam zasto danas sada quin quina quan com quant meva "
        "amb els avui ara gi nao sao bao nhieu cua toi khi dau lam the khong la ano paano saan "
        "kailan magkano bakit sino ang ng mga aking ko "
        "ba ngayon nasaan gani je wapi lini jinsi kiasi langu yangu wangu ni kwa ya leo sasa "
        "hoekom waar wanneer hoeveel bagaimanakah berapakah baki boleh "
        "kya kaise kab kahan kyun kyon kitna kitni kitne hai hain mera meri mere mujhe aap aapka "
        "apna apni karein karna kaun nahi aaj abhi "
        "къде колко какво кога защо моят моята съм със това ми бих скільки де коли чому мій моя "
        "чи та є що як який "
        "چقدر موجودی سفارش حساب چه چگونه چطور کجا کجاست چند چرا است هست من را می از این آن امروز "
        "الان برای آیا "
        "आहे आहेत काय कसे कसा कुठे कधी माझे माझा माझी मला किती आज मी छ छन् कसरी मेरो कहिले कति "
        "हुन्छ छु म"
    ).split()
)


_SCRIPTS: Final = {
    "latin": (
        re.compile("[a-z\u00c0-\u024f\u1e00-\u1eff]"),
        ("en", "es", "fr", "pt", "de", "it", "tr", "pl", "nl", "id"),
    ),
    "cyrillic": (re.compile("[\u0400-\u04ff]"), ("ru",)),
    "arabic": (re.compile("[\u0600-\u06ff\u0750-\u077f]"), ("ar", "ur")),
    "devanagari": (re.compile("[\u0900-\u0963]"), ("hi",)),
    "bengali": (re.compile("[\u0980-\u09e3]"), ("bn",)),
}
_KNOWN_WORDS: Final = {
    language: frozenset(fold_to_plain(words).split()) for language, words in _SMALL_WORDS.items()
}
_FOREIGN_WORDS: Final = frozenset(
    fold_to_plain(" ".join(_OTHER_SMALL_WORDS)).split()
) - frozenset().union(*_KNOWN_WORDS.values())
KNOWN_LANGUAGES: Final = (*_KNOWN_WORDS, "zh", "ja", "ko")
# A single letter is a small word of many languages.
_MIN_WORD_LENGTH: Final = 2


def is_known_language(question: str) -> bool:
    """Return whether the rules on time and person can read this question. Linear.

    True also if it has no word at all.
    """
    if question.isascii():
        return len(question) <= MAX_READ_LENGTH and _is_ascii_known(question.lower())
    seen = remove_invisible(question).lower()
    if len(seen) > MAX_READ_LENGTH:
        return False
    if (
        _OTHER_SCRIPT.search(seen)
        or _OTHER_LETTER.search(seen)
        or (_CANTONESE.search(seen) and not _KANA.search(seen))
    ):
        return False
    words = _WORD.findall(fold_to_plain(question))
    if not words:
        return True
    strange = len(_OTHER_LATIN_LETTERS.findall(seen))
    found = {script: _is_script_known(script, words, strange) for script in _SCRIPTS}
    unspaced = any(script.search(seen) for script in (_HAN, _KANA, _HANGUL))
    return False not in found.values() and (unspaced or True in found.values())


def find_language(question: str) -> str | None:
    """Return the code of the known language that a question is in, None if that is not clear.

    Of Latin and of Arabic letters it is the language with the most small words.
    """
    if not is_known_language(question):
        return None
    seen = fold_to_plain(question)
    for language, script in (("ja", _KANA), ("ko", _HANGUL), ("zh", _HAN)):
        if script.search(question):
            return language
    words = [word for word in _WORD.findall(seen) if len(word) >= _MIN_WORD_LENGTH]
    counts = sorted(
        ((sum(map(known.__contains__, words)), code) for code, known in _KNOWN_WORDS.items()),
        reverse=True,
    )
    (most, language), (second, _) = counts[:2]
    return language if most > second else None


def _is_ascii_known(seen: str) -> bool:
    words = _WORD.findall(seen)
    return not words or _is_script_known("latin", words, 0) is True


def _is_script_known(script: str, words: list[str], strange: int) -> bool | None:
    """Return whether the words in this script are of a known language; None if they do not tell."""
    letters, languages = _SCRIPTS[script]
    own = [word for word in words if letters.match(word)]
    if not own:
        return None
    small = [word for word in own if len(word) >= _MIN_WORD_LENGTH]
    most = max(sum(word in _KNOWN_WORDS[language] for word in small) for language in languages)
    others = sum(word in _FOREIGN_WORDS for word in small) + (strange if script == "latin" else 0)
    if others and others >= most:
        return False
    return True if most else (None if script == "latin" else False)
