"""Texts cut into sentences, blocks and words; hostile texts cut in time."""

from importlib.resources import files

import fow_cache
import pytest
import Stemmer
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.compression import algorithm_registry
from proxy.core.compression.algorithm_registry import ENGINES
from proxy.core.text.languages import (
    LANGUAGES,
    STEMMER_LANGUAGES,
    STOP_WORD_LANGUAGES,
    split_words,
    terms,
)
from proxy.core.text.sentences import split_pieces


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in split_pieces(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Hello Mr. Smith. It costs $3.50 today! Why?",
            ["Hello Mr. Smith.", "It costs $3.50 today!", "Why?"],
        ),
        ("Name: Ann\nCity: Rome", ["Name: Ann", "City: Rome"]),
        ("This is a line that an editor wrapped because it was\ntoo long for it.", None),
        (
            "你好。我的订单在哪里？「谢谢！」再见",
            ["你好。", "我的订单在哪里？", "「谢谢！」", "再见"],
        ),
        ("これはペンです。はい！", ["これはペンです。", "はい！"]),
        (
            "Try this.\n```sh\nrm x. Then y.\n\nls\n```\nIt works.",
            ["Try this.", "```sh\nrm x. Then y.\n\nls\n```", "It works."],
        ),
        ("~~~\nopen. to the end.", None),
        (
            "Prices.\n| a | b |\n|---|--:|\n| 1. | 2 |\nThat is all.",
            ["Prices.", "| a | b |\n|---|--:|\n| 1. | 2 |", "That is all."],
        ),
        ("a | b\n--- | ---\n1 | 2", None),
        (
            "Do this:\n- One. Two.\n  more of it\n\n- Three.\nDone.",
            ["Do this:", "- One. Two.\n  more of it\n\n- Three.", "Done."],
        ),
        ("1. First. It is.\n2. Second.", None),
        ("- just one. Item.", ["- just one.", "Item."]),
        (
            "- a\n- b\n  ```\nx. = 1\n  ```\n- c\nThe end. So.",
            ["- a\n- b\n  ```\nx. = 1\n  ```\n- c", "The end.", "So."],
        ),
        ("- ```\n  a. B\n\n  ```\nDone. All.", ["- ```\n  a. B\n\n  ```", "Done.", "All."]),
        ("यह एक वाक्य है। दूसरा ३.५ वाक्य॥ क्या?", ["यह एक वाक्य है।", "दूसरा ३.५ वाक्य॥", "क्या?"]),
        ("هل وصل الطلب؟ نعم. شكرا.", ["هل وصل الطلب؟", "نعم.", "شكرا."]),
        ("یہ جملہ ہے۔دوسرا۔", ["یہ جملہ ہے۔", "دوسرا۔"]),
        ("នេះជាប្រយោគ។ ប្រយោគទីពីរ៕", ["នេះជាប្រយោគ។", "ប្រយោគទីពីរ៕"]),
        ("สวัสดีครับ ผมชื่อสมชาย\nลาก่อน", ["สวัสดีครับ ผมชื่อสมชาย", "ลาก่อน"]),
        ("שלום. מה שלומך? טוב.", ["שלום.", "מה שלומך?", "טוב."]),
        ("Ստուգում։ Երկրորդ։", ["Ստուգում։", "Երկրորդ։"]),
        ("真的吗?我不知道!好", ["真的吗?", "我不知道!", "好"]),
        ("１．５倍です．次は２．０", ["１．５倍です．", "次は２．０"]),
        ("看 https://x.test/例?い!う.b，好。谢谢", ["看 https://x.test/例?い!う.b，好。", "谢谢"]),
        (
            "请看https://x.test/a?b=1!c.d。谢谢！Thanks 🙏. Bye 👋🏽!",
            ["请看https://x.test/a?b=1!c.d。", "谢谢！", "Thanks 🙏.", "Bye 👋🏽!"],
        ),
        (
            "The U.S. economy of Dr. Meier grew by 3.14. e.g. this.",
            ["The U.S. economy of Dr. Meier grew by 3.14. e.g. this."],
        ),
        ("  \n\n ", []),
        ("", []),
        ("...", None),
    ],
)
def test_a_text_is_cut_where_a_reader_would(text: str, expected: list[str] | None) -> None:
    assert cut(text) == ([text] if expected is None else expected)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.text(alphabet="aB.!?。 \n`|-*1~>\t\u3000”", max_size=200)))
def test_pieces_leave_out_nothing_but_white_space(text: str) -> None:
    spans = split_pieces(text)
    assert all(start < end for start, end in spans)
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    assert edges == sorted(edges)
    assert not "".join(
        text[left:right] for left, right in zip(edges[::2], edges[1::2], strict=True)
    ).strip()


UNCUT = (
    *(
        "https://x.test/a.b?c=1!d&e=2.html#f.g",
        "http://user:p@10.0.0.1:80/?q=a.b;c!",
        "www.x.test/?a",
        "https://例え.jp/パス.html?a=い",
    ),
    *(
        "ann.b+c@mail.example.co.uk",
        "3.14",
        "1,000.50",
        "1.000.000,50",
        "v2.0.1-rc.1",
        "10.0.0.1",
        "1.8.2026",
        "12:30.5",
        "a.k.a.",
    ),
    *(
        "U.S.",
        "e.g.",
        "report.final.pdf",
        "foo.bar()",
        "C:\\a.b\\c.txt",
        "node.js?",
        "...",
        "१.५",
        "３．５",
    ),
)
WORDS = ("the", "order", "Then", "你好", "はい", "नमस्ते", "مرحبا", "🙏", "(see", "said:", "költség")
ENDS = (" ", ". ", "! ", "? ", "\n", " – ", " है। ", " 吗？", "؟ ")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(WORDS), st.sampled_from(UNCUT), st.sampled_from(ENDS)),
        min_size=1,
        max_size=8,
    )
)
def test_addresses_numbers_and_names_are_never_cut_inside(some: list[tuple[str, str, str]]) -> None:
    text, inside = "", []
    for word, uncut, end in some:
        text += f"{word} {uncut}"
        inside.append((len(text) - len(uncut), len(text)))
        text += end
    edges = {edge for span in split_pieces(text) for edge in span}
    assert not [text[start:end] for start, end in inside for edge in edges if start < edge < end]


def test_real_messages_are_cut_into_sentences_of_a_sane_length() -> None:
    lengths = [
        len(piece)
        for chat in fow_cache.load_conversations()[:50]
        for message in chat["a"]
        for piece in cut(message["content"])
    ]
    assert 20 < sum(lengths) / len(lengths) < 120


def test_words_are_lower_case_numbers_count_and_scripts_without_spaces_go_in_pairs() -> None:
    assert split_words("Don’t pay 4711 EUR_2, Ann's way!") == [
        "don't",
        "pay",
        "4711",
        "eur_2",
        "ann's",
        "way",
    ]
    assert split_words("订单号 42") == ["订单", "单号", "42"]
    assert split_words("はい") == ["はい"]


def test_terms_are_stems_without_stop_words() -> None:
    assert terms("The orders were shipped to the customers", "english") == terms(
        "order ship customer", "english"
    )
    assert terms("Die Bestellungen und der Kunde", "german") == ["bestell", "kund"]
    assert terms("що замовлення", "ukrainian")


def test_the_languages_are_those_of_the_two_packages() -> None:
    assert set(STEMMER_LANGUAGES) == set(Stemmer.algorithms()) - {"porter", "dutch_porter"}
    lists = {
        entry.name.removesuffix(".txt")
        for entry in (files("sumy") / "data" / "stopwords").iterdir()
        if entry.name.endswith(".txt")
    }
    assert set(STOP_WORD_LANGUAGES) == lists
    for language in LANGUAGES:
        assert terms("order 4711", language)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="klingon"):
        terms("text", "klingon")


def test_every_engine_of_the_catalogue_loads_and_is_described() -> None:
    for name, engine in ENGINES.items():
        assert callable(algorithm_registry.load_rank(name))
        assert engine.title
        assert engine.description.endswith(".")
