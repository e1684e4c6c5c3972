"""In other languages than English what needs no dictionary is told apart; the rest is a model's."""

import pytest

from proxy.core.text.language_detection import KNOWN_LANGUAGES, find_language
from proxy.core.verification.rules.rule_registry import veto_question, veto_question_of

OTHERS = frozenset(KNOWN_LANGUAGES) - {"en"}

DIFFERENT = [
    ("numbers", "Wie lange dauert es nach 5 Tagen?", "Wie lange braucht es nach 6 Tagen?"),
    ("signs", "Ist das für 20 € zu haben?", "Ist das auch für $20 zu haben?"),
    ("units", "Ist das für 5 kg zu haben?", "Ist das auch für gut 5 km zu haben?"),
    ("exchanged", "Kann ich das 5 Tage lang testen?", "Kann ich das 5 Wochen lang testen?"),
    ("negation", "Kann ich bezahlen?", "Kann ich nicht bezahlen?"),
    ("negation", "Puis-je payer par carte ?", "Puis-je payer sans carte ?"),
    ("negation", "Можно ли отменить заказ?", "Можно ли не отменять заказ?"),
    ("negation", "Siparişimi iptal edebilir miyim?", "Siparişimi iptal edemez miyim?"),
    ("negation", "この商品は返品できますか", "この商品は返品できませんか"),
    ("negation", "可以退货吗", "不可以退货吗"),
    ("negation", "क्या मैं रिटर्न कर सकता हूँ?", "क्या मैं रिटर्न नहीं कर सकता हूँ?"),
    ("order", "Wie komme ich von Berlin nach Wien?", "Wie komme ich von Wien nach Berlin?"),
    ("exchanged", "Wie kann ich mein Konto aktivieren?", "Wie kann ich mein Konto deaktivieren?"),
    ("exchanged", "Где вход в музей?", "Где выход в музей?"),
    ("exchanged", "如何上传文件？", "如何下载文件？"),
    ("exchanged", "通知をオンにする方法は？", "通知をオフにする方法は？"),
    ("exchanged", "Was ist eine Masse?", "Was ist eine Maße?"),
    ("exchanged", "Co to jest kat?", "Co to jest kąt?"),
    ("signs", "Wie rechnet man a+b aus?", "Wie rechnet man a-b aus?"),
]
OPEN = [
    ("Wie lange dauert eine Überweisung?", "Wie viele Tage braucht eine Überweisung?"),
    ("Comment puis-je fermer mon compte ?", "Comment est-ce que je peux clôturer mon compte ?"),
    ("Как изменить пароль?", "Каким образом я могу поменять пароль?"),
    ("口座を閉じるにはどうすればいいですか", "口座の解約方法を教えてください"),
    ("如何更改我的密码？", "我怎样才能修改密码？"),
]


@pytest.mark.parametrize(("reason", "asked", "stored"), DIFFERENT)
def test_what_needs_no_dictionary_is_told_apart(reason: str, asked: str, stored: str) -> None:
    assert veto_question_of(OTHERS, asked, stored) == reason
    assert veto_question_of(OTHERS, stored, asked) == reason


@pytest.mark.parametrize(("asked", "stored"), OPEN)
def test_what_is_said_in_other_words_is_left_to_the_model(asked: str, stored: str) -> None:
    assert veto_question_of(OTHERS, asked, stored) is None
    assert veto_question_of(OTHERS, stored, asked) is None
    assert veto_question_of((), asked, stored) in {"language", "signs"}
    assert veto_question(asked, stored) in {"language", "signs"}


def test_a_language_that_is_not_named_stays_closed() -> None:
    german, french = OPEN[0], OPEN[1]
    assert veto_question_of({"fr"}, *german) == "language"
    assert veto_question_of({"fr"}, *french) is None
    assert veto_question_of({"de", "fr"}, german[0], french[0]) in {"language", "signs"}


def test_english_is_judged_by_its_own_rules_whatever_is_named() -> None:
    enable, disable = "How do I enable the alarm?", "How do I disable the alarm?"
    assert veto_question_of(OTHERS, enable, disable) == "antonyms"
    assert veto_question_of(OTHERS, "How do I pay?", "Wie bezahle ich?") == "language"


@pytest.mark.parametrize(
    "text", ["Wie koche ich Reis?", "Comment cuire du riz ?", "Как приготовить рис?", "可以退货吗"]
)
def test_the_same_text_is_the_same(text: str) -> None:
    assert veto_question_of(OTHERS, text, text.upper()) is None
    assert veto_question_of(OTHERS, text, text.rstrip(" ?")) is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Wie ändere ich mein Passwort?", "de"),
        ("Hoe wijzig ik mijn adres?", "nl"),
        ("¿Cómo puedo cambiar mi contraseña?", "es"),
        ("パスワードを変更する方法は？", "ja"),
        ("비밀번호를 어떻게 바꾸나요?", "ko"),
        ("如何更改密码？", "zh"),
        ("How do I pay?", "en"),
        ("", None),
        ("12345", None),
        ("qwerty", None),
        ("Hvordan betaler jeg?", None),
        ("la", None),
    ],
)
def test_the_language_with_the_most_small_words(text: str, language: str | None) -> None:
    assert find_language(text) == language


def test_long_texts_take_linear_time() -> None:
    text = "Wie lange dauert das und was kostet es mich? " * 40
    assert veto_question_of({"de"}, text, text + "Danke") in {None, "exchanged", "language"}
