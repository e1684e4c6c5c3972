"""Chats with one piece that is larger than the budget, and a needle deep inside it.

Nothing here is random.
"""

import base64
import itertools
import json
from typing import Any, NamedTuple

Message = dict[str, Any]

WORDS = (
    "so today we talk about the plan and the people who work here because they said that it was "
    "good to go on with the next thing"
).split()


class Case(NamedTuple):
    """A chat, what must stand in what is sent of it, and the budget in tokens of o200k_base."""

    messages: list[Message]
    needle: str
    budget: int
    engine: str = "text_rank"
    language: str = "english"


def babble(count: int, step: int) -> str:
    """Speech as a recogniser writes it: no capitals, no full stops, one line."""
    return " ".join(WORDS[(number * step + number // 7) % len(WORDS)] for number in range(count))


def asked_of(data: str, question: str, told: str = "ok") -> list[Message]:
    return [
        {"role": "user", "content": data},
        {"role": "assistant", "content": told},
        {"role": "user", "content": question},
    ]


ROWS: list[dict[str, Any]] = [
    {"id": number, "name": f"item {number}", "price": number * 3} for number in range(4000)
]
ROWS[2222]["name"] = "golden teapot"
ASKED_PRICE = "What is the price of the golden teapot?"


def thinking(turns: int = 12) -> list[Message]:
    """Each answer carries some 1,900 tokens of reasoning_content,
    which DeepSeek and Kimi want back and bill."""
    chat: list[Message] = [{"role": "user", "content": "Fix the bug."}]
    for number in range(turns):
        thought = (
            f"I think about part {number}. "
            + "The parser reads a token and looks at the next one before it decides. " * 120
        )
        chat += [
            {"role": "assistant", "content": f"Step {number}.", "reasoning_content": thought},
            {"role": "user", "content": f"Go on {number}."},
        ]
    return chat


def working(turns: int = 40) -> list[Message]:
    """An agent with tools whose provider refuses an assistant message
    without its reasoning_content."""
    chat: list[Message] = [{"role": "system", "content": "Agent."}]
    for number in range(turns):
        call = {
            "id": f"c{number}",
            "type": "function",
            "function": {"name": "read", "arguments": "{}"},
        }
        chat += [
            {"role": "user", "content": f"Look at file {number}. " + "Some words about it. " * 10},
            {
                "role": "assistant",
                "content": "",
                "reasoning_content": f"hm {number}",
                "tool_calls": [call],
            },
            {"role": "tool", "tool_call_id": f"c{number}", "content": f"content {number} " * 20},
            {
                "role": "assistant",
                "content": f"Done with {number}. " * 5,
                "reasoning_content": "ok",
            },
        ]
    return [*chat, {"role": "user", "content": "What about file 3?"}]


def chinese(turns: int = 60) -> list[Message]:
    asked = [
        "我想了解一下你们店的营业时间和停车情况。",
        "这款洗衣机的噪音大不大？耗电量怎么样？",
        "上次买的台灯灯泡坏了，可以保修吗？",
    ]
    said = [
        "您好，我们每天早上九点到晚上九点营业，门口有免费停车场，周末人比较多，建议您提前到店。",
        "这款洗衣机采用变频电机，噪音大约五十分贝，一级能效，用电很省，很多顾客反馈不错。",
    ]
    chat: list[Message] = [{"role": "system", "content": "You help."}]
    for number in range(turns):
        fact = "我的送货地址改成梧桐路八十八号三单元，请记住。"
        chat += [
            {
                "role": "user",
                "content": fact if number == 7 else asked[number % 3] + f"第{number}次咨询。",
            },
            {"role": "assistant", "content": said[number % 2] + f"编号{number}。"},
        ]
    return [*chat, {"role": "user", "content": "我的送货地址是什么？"}]


PICTURE = base64.b64encode(bytes(itertools.islice(itertools.cycle(range(251)), 150_000))).decode()
CALL = (
    "Transcript of our call: "
    + babble(300, 5)
    + " the gate code for the north warehouse is four seven nine two "
    + babble(300, 11)
)
REPORTED = {
    "speech without full stops": Case(
        asked_of(CALL, "What is the gate code for the north warehouse?"), "four seven nine two", 512
    ),
    "JSON in one line": Case(asked_of("Data: " + json.dumps(ROWS), ASKED_PRICE), "6666", 2048),
    "CSV": Case(
        asked_of(
            "id,name,price\n" + "\n".join(f"{r['id']},{r['name']},{r['price']}" for r in ROWS),
            ASKED_PRICE,
        ),
        "6666",
        2048,
    ),
    "reasoning that is billed": Case(thinking(), "Go on 11.", 4096),
    "an agent that thinks": Case(working(), "file 3", 2048),
    "a document part": Case(
        [
            {
                "role": "user",
                "content": [
                    {"type": "document", "source": {"type": "text", "data": "Clause. " * 3000}},
                    {"type": "text", "text": "Summarise"},
                ],
            },
            {"role": "assistant", "content": "Done."},
            {"role": "user", "content": "Thanks, and clause 4?"},
        ],
        "clause 4",
        1024,
    ),
    "Chinese": Case(chinese(), "梧桐路八十八号三单元", 1024, language="chinese"),
    "Chinese in a plan for English": Case(chinese(), "梧桐路八十八号三单元", 1024),
    "a picture in base64": Case(
        [
            {"role": "user", "content": "My ticket is TT-4417, remember it."},
            {"role": "assistant", "content": "Noted."},
            {"role": "user", "content": f"Look: ![x](data:image/png;base64,{PICTURE})"},
            {"role": "assistant", "content": "I see."},
            {"role": "user", "content": "What is my ticket?"},
        ],
        "TT-4417",
        1024,
    ),
}

# ---------------------------------------------------------------- speech in many languages

# language of the plan: what is said over and over, with the words mixed; what is to be found; what
# is asked.
SPEECH = {
    "german": (
        (
            "also heute reden wir über den plan und die leute die hier arbeiten weil sie gesagt "
            "haben dass es gut ist weiter zu machen"
        ),
        "das kennwort für den keller lautet blaue eidechse",
        "Wie lautet das Kennwort für den Keller?",
    ),
    "french": (
        (
            "alors aujourd'hui nous parlons du projet et des gens qui travaillent ici parce que "
            "ils ont dit que c'était bien de continuer"
        ),
        "le mot de passe de la cave est lézard bleu",
        "Quel est le mot de passe de la cave ?",
    ),
    "spanish": (
        (
            "pues hoy hablamos del plan y de la gente que trabaja aquí porque dijeron que era "
            "bueno seguir con lo siguiente"
        ),
        "la contraseña del sótano es lagarto azul",
        "¿Cuál es la contraseña del sótano?",
    ),
    "italian": (
        (
            "allora oggi parliamo del piano e delle persone che lavorano qui perché hanno detto "
            "che era giusto andare avanti"
        ),
        "la parola d'ordine della cantina è lucertola blu",
        "Qual è la parola d'ordine della cantina?",
    ),
    "portuguese": (
        (
            "então hoje falamos do plano e das pessoas que trabalham aqui porque disseram que era "
            "bom continuar com a próxima coisa"
        ),
        "a senha do porão é lagarto azul",
        "Qual é a senha do porão?",
    ),
    "dutch": (
        (
            "dus vandaag praten we over het plan en de mensen die hier werken omdat ze zeiden dat "
            "het goed was om door te gaan"
        ),
        "het wachtwoord van de kelder is blauwe hagedis",
        "Wat is het wachtwoord van de kelder?",
    ),
    "polish": (
        (
            "więc dzisiaj mówimy o planie i o ludziach którzy tu pracują bo powiedzieli że "
            "dobrze jest iść dalej"
        ),
        "hasło do piwnicy to niebieska jaszczurka",
        "Jakie jest hasło do piwnicy?",
    ),
    "russian": (
        (
            "итак сегодня мы говорим о плане и о людях которые здесь работают потому что они "
            "сказали что хорошо идти дальше"
        ),
        "пароль от подвала синяя ящерица",
        "Какой пароль от подвала?",
    ),
    "turkish": (
        (
            "yani bugün plandan ve burada çalışan insanlardan bahsediyoruz çünkü devam etmenin "
            "iyi olduğunu söylediler"
        ),
        "bodrumun şifresi mavi kertenkele",
        "Bodrumun şifresi nedir?",
    ),
    "arabic": (
        (
            "إذن اليوم نتحدث عن الخطة وعن الناس الذين يعملون هنا لأنهم قالوا إن من الجيد أن "
            "نستمر في الشيء التالي"
        ),
        "كلمة السر للقبو هي سحلية زرقاء",
        "ما هي كلمة السر للقبو؟",
    ),
    "hindi": (
        (
            "तो आज हम योजना और यहां काम करने वाले लोगों के बारे में बात करते हैं क्योंकि उन्होंने "
            "कहा कि आगे बढ़ना अच्छा है"
        ),
        "तहखाने का पासवर्ड नीली छिपकली है",
        "तहखाने का पासवर्ड क्या है?",
    ),
    "greek": (
        (
            "λοιπόν σήμερα μιλάμε για το σχέδιο και τους ανθρώπους που δουλεύουν εδώ γιατί είπαν "
            "ότι είναι καλό να συνεχίσουμε"
        ),
        "ο κωδικός του υπογείου είναι μπλε σαύρα",
        "Ποιος είναι ο κωδικός του υπογείου;",
    ),
    "korean": (
        (
            "그래서 오늘 우리는 계획과 여기서 일하는 사람들에 대해 이야기합니다 왜냐하면 계속하는 "
            "것이 좋다고 말했기 때문입니다"
        ),
        "지하실 비밀번호는 파란 도마뱀",
        "지하실 비밀번호는 무엇입니까?",
    ),
    "hebrew": (
        "אז היום אנחנו מדברים על התוכנית ועל האנשים שעובדים כאן כי הם אמרו שטוב להמשיך לדבר הבא",
        "הסיסמה של המרתף היא לטאה כחולה",
        "מהי הסיסמה של המרתף?",
    ),
}
# The same without blanks.
UNSPACED = {
    "chinese": (
        "所以今天我们谈谈计划和在这里工作的人因为他们说继续做下一件事是好的",
        "地下室的密码是蓝色蜥蜴",
        "地下室的密码是什么？",
    ),
    "japanese": (
        "それで今日は計画とここで働く人々について話しますなぜなら続けるのは良いと言ったからです",
        "地下室の暗証番号は青いトカゲ",
        "地下室の暗証番号は何ですか？",
    ),
    "thai": (
        "ดังนั้นวันนี้เราพูดถึงแผนและคนที่ทำงานที่นี่เพราะพวกเขาบอกว่าดีที่จะทำต่อไป",
        "รหัสผ่านของห้องใต้ดินคือกิ้งก่าสีฟ้า",
        "รหัสผ่านของห้องใต้ดินคืออะไร",
    ),
}


def speech(language: str) -> Case:
    """A talk of some 4,000 tokens in one line, for a quarter of them."""
    if language in SPEECH:
        said, needle, question = SPEECH[language]
        words = said.split()
        talk = [
            " ".join(words[(number * step + number // 5) % len(words)] for number in range(900))
            for step in (5, 7)
        ]
        return Case(
            asked_of(f"{talk[0]} {needle} {talk[1]}", question), needle, 1024, language=language
        )
    said, needle, question = UNSPACED[language]
    turned = "".join(
        said[number % len(said) :] + said[: number % len(said)] for number in range(60)
    )
    return Case(asked_of(turned + needle + turned[::-1], question), needle, 1024, language=language)


# ---------------------------------------------------------------- data, code, addresses

_MINIFIED = "".join(
    f"function f{n}(a,b){{var c=a*{n}+b;if(c>{n * 7}){{return c-{n}}}else{{return h{n}(c)}}}}"
    if n != 700
    else "function computeShippingCost(weight,zone){return weight*zone*1.75+4.25}"
    for n in range(1200)
)
_PYTHON = "\n\n".join(
    f"def step_{n}(value: int) -> int:\n    total = value + {n}\n    return total * {n % 7}"
    if n != 300
    else (
        "def shipping_cost(weight: float, zone: int) -> float:\n    base = 4.25\n\n"
        "    return weight * zone * 1.75 + base"
    )
    for n in range(600)
)
_NESTED = {
    "shop": {
        "name": "Corner",
        "floors": [
            {
                "floor": n,
                "rooms": [
                    {"room": f"{n}-{m}", "things": [f"thing {n}.{m}.{k}" for k in range(20)]}
                    for m in range(9)
                ],
            }
            for n in range(30)
        ],
        "safe": {"place": "behind the mirror of the blue salon", "opened_by": "Ms. Okonkwo"},
    },
    "log": " ".join(f"event {n} was written" for n in range(4000)),
}
_LONG_STRING = {
    "id": 7,
    "note": "\\n".join(['The tide came in at dawn and "nobody" was there.'] * 800)
    + " The anchor chain is 88 metres long. "
    + "And so on it goes\\tfor ever. " * 800,
}
_XML = (
    "<shop>"
    + "".join(
        f"<item><id>{r['id']}</id><name>{r['name']}</name><price>{r['price']}</price></item>"
        for r in ROWS[:3000]
    )
    + "</shop>"
)
_MAIL = "\n".join(
    (
        f"{'>' * (1 + n % 5)} On day {n} Jo wrote: the delivery of lot {n} was moved, we will see "
        "about it next week or so"
    )
    if n != 320
    else ">>> On day 320 Jo wrote: the spare key lies under the red flower pot at gate nine"
    for n in range(700)
)
_TABLE = "| id | name | price |\n| --- | --- | --- |\n" + "\n".join(
    f"| {r['id']} | {r['name']} | {r['price']} |" for r in ROWS[:3000]
)
_LIST = "\n".join(
    f"- item {n}: in the drawer number {n * 3}"
    if n != 1500
    else "- golden teapot: on the shelf of aunt Mabel"
    for n in range(3000)
)
_LOG = "\n".join(
    (
        f"2026-03-0{1 + n % 9}T10:{n % 60:02}:00Z INFO worker-{n % 7} handled request "
        f"{n} in {n % 90} ms"
    )
    if n != 1800
    else "2026-03-04T10:11:00Z ERROR worker-3 lost connection to the billing database replica seven"
    for n in range(3000)
)
_ADDRESS = (
    "https://shop.example/search?"
    + "&".join(f"filter_{n}=value_{n * 3}" for n in range(1500))
    + "&voucher=SPRING-4417&"
    + "&".join(f"sort_{n}=field_{n}" for n in range(1500))
)
_ARRAYS = [["id", "name", "price"], *[[r["id"], r["name"], r["price"]] for r in ROWS]]

DATA = {
    "JSON in one line without blanks": Case(
        asked_of(json.dumps(ROWS, separators=(",", ":")), ASKED_PRICE), "6666", 1024
    ),
    "JSON over lines": Case(
        asked_of("Here it is:\n" + json.dumps(ROWS, indent=2) + "\nThat is all.", ASKED_PRICE),
        "6666",
        1024,
    ),
    "JSON in a fence": Case(
        asked_of("See:\n```json\n" + json.dumps(ROWS) + "\n```\nThanks.", ASKED_PRICE), "6666", 1024
    ),
    "JSON line by line": Case(
        asked_of("\n".join(json.dumps(row) for row in ROWS), ASKED_PRICE), "6666", 1024
    ),
    "arrays of arrays": Case(asked_of(f"Rows: {json.dumps(_ARRAYS)}.", ASKED_PRICE), "6666", 1024),
    "nested JSON": Case(
        asked_of(json.dumps(_NESTED), "Who opened the safe, and where is it?"), "Okonkwo", 1024
    ),
    "a long string in JSON": Case(
        asked_of(json.dumps(_LONG_STRING), "How long is the anchor chain?"), "88 metres", 1024
    ),
    "XML in one line": Case(asked_of(_XML, ASKED_PRICE), "6666", 1024),
    "minified code": Case(
        asked_of(_MINIFIED, "What does computeShippingCost return for a weight and a zone?"),
        "1.75+4.25",
        1024,
    ),
    "a code block": Case(
        asked_of(
            f"My file:\n```python\n{_PYTHON}\n```\nDone.", "What is the shipping_cost of a weight?"
        ),
        "* 1.75",
        1024,
    ),
    "an e-mail thread": Case(
        asked_of(_MAIL, "Where does the spare key lie?"), "red flower pot", 1024
    ),
    "a table": Case(asked_of(f"Prices:\n\n{_TABLE}\n\nThat is it.", ASKED_PRICE), "6666", 1024),
    "a list": Case(asked_of(_LIST, "Where is the golden teapot?"), "aunt Mabel", 1024),
    "a log": Case(
        asked_of(_LOG, "Which database replica lost its connection?"), "replica seven", 1024
    ),
    "a long address": Case(
        asked_of(f"Open {_ADDRESS} please", "What voucher was in the address?"), "SPRING-4417", 1024
    ),
    "a word of a megabyte beside a fact": Case(
        asked_of(
            "My ticket is TT-4417. " + "a" * 1_000_000 + " Keep it safe.", "What is my ticket?"
        ),
        "TT-4417",
        512,
    ),
    "a document part with a fact": Case(
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "title": "Rules",
                        "source": {
                            "type": "text",
                            "media_type": "text/plain",
                            "data": "".join(
                                f"Clause {n}: the tenant of flat {n} pays {n * 10} euros. "
                                for n in range(900)
                            ),
                        },
                    }
                ],
            },
            {"role": "assistant", "content": "Read."},
            {"role": "user", "content": "What does the tenant of flat 444 pay?"},
        ],
        "4440 euros",
        1024,
    ),
    "the answer of a tool": Case(
        [
            {"role": "user", "content": "Look up the items."},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "items", "arguments": '{"all": true}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": json.dumps(ROWS)},
            {"role": "assistant", "content": "I have them."},
            {"role": "user", "content": ASKED_PRICE},
        ],
        "6666",
        1024,
    ),
}
