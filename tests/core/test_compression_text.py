"""Texts cut into sentences, blocks and words; hostile texts cut in time."""

import time
from importlib.resources import files

import fow_cache
import pytest
import Stemmer
from hypothesis import given, settings
from hypothesis import strategies as st

from plans.snapshot import CompressionSettings
from proxy.core.compression import catalogue
from proxy.core.compression.catalogue import ENGINES
from proxy.core.compression.compress import compress
from proxy.core.compression.languages import LANGUAGES, STEMMED, STOPPED, terms, words
from proxy.core.compression.sentences import pieces


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in pieces(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello Mr. Smith. It costs $3.50 today! Why?", ["Hello Mr. Smith.", "It costs $3.50 today!", "Why?"]),
        ("Name: Ann\nCity: Rome", ["Name: Ann", "City: Rome"]),
        ("This is a line that an editor wrapped because it was\ntoo long for it.", None),
        ("你好。我的订单在哪里？「谢谢！」再见", ["你好。", "我的订单在哪里？", "「谢谢！」", "再见"]),
        ("これはペンです。はい！", ["これはペンです。", "はい！"]),
        ("Try this.\n```sh\nrm x. Then y.\n\nls\n```\nIt works.", ["Try this.", "```sh\nrm x. Then y.\n\nls\n```", "It works."]),
        ("~~~\nopen. to the end.", None),
        ("Prices.\n| a | b |\n|---|--:|\n| 1. | 2 |\nThat is all.", ["Prices.", "| a | b |\n|---|--:|\n| 1. | 2 |", "That is all."]),
        ("a | b\n--- | ---\n1 | 2", None),
        ("Do this:\n- One. Two.\n  more of it\n\n- Three.\nDone.", ["Do this:", "- One. Two.\n  more of it\n\n- Three.", "Done."]),
        ("1. First. It is.\n2. Second.", None),
        ("- just one. Item.", ["- just one.", "Item."]),
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
    spans = pieces(text)
    assert all(start < end for start, end in spans)
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    assert edges == sorted(edges)
    assert not "".join(text[left:right] for left, right in zip(edges[::2], edges[1::2], strict=True)).strip()


def test_real_messages_are_cut_into_sentences_of_a_sane_length() -> None:
    lengths = [len(piece) for chat in fow_cache.load_conversations()[:50] for message in chat["a"] for piece in cut(message["content"])]
    assert 20 < sum(lengths) / len(lengths) < 120


def test_words_are_lower_case_numbers_count_and_scripts_without_spaces_go_in_pairs() -> None:
    assert words("Don’t pay 4711 EUR_2, Ann's way!") == ["don't", "pay", "4711", "eur_2", "ann's", "way"]
    assert words("订单号 42") == ["订单", "单号", "42"]
    assert words("はい") == ["はい"]


def test_terms_are_stems_without_stop_words() -> None:
    assert terms("The orders were shipped to the customers", "english") == terms("order ship customer", "english")
    assert terms("Die Bestellungen und der Kunde", "german") == ["bestell", "kund"]
    assert terms("що замовлення", "ukrainian")


def test_the_languages_are_those_of_the_two_packages() -> None:
    assert set(STEMMED) == set(Stemmer.algorithms()) - {"porter", "dutch_porter"}
    lists = {entry.name.removesuffix(".txt") for entry in (files("sumy") / "data" / "stopwords").iterdir() if entry.name.endswith(".txt")}
    assert set(STOPPED) == lists
    for language in LANGUAGES:
        assert terms("order 4711", language)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="klingon"):
        terms("text", "klingon")


def test_every_engine_of_the_catalogue_loads_and_is_described() -> None:
    for name, engine in ENGINES.items():
        assert callable(catalogue.load(name))
        assert engine.title
        assert engine.description.endswith(".")


HOSTILE = {
    "opening brackets": "[" * 20_000,
    "one sentence of a megabyte": "word " * 200_000,
    "one word of a megabyte": "a" * 1_000_000,
    "50,000 lines of one word": "hi\n" * 50_000,
    "30,000 different lines": "".join(f"w{n}\n" for n in range(30_000)),
    "marks without end": "?!" * 50_000,
    "marks and wide spaces": ":\u3000." * 100_000,
    "unclosed fences": "```\n" * 30_001,
    "a table of bars": "a|b\n" + "| " * 50_000,
    "a delimiter that never ends": "a|b\n" + " " * 100_000 + "x",
    "sentences of every length": "\n".join(" ".join(f"x{n * n % 3001}" for n in range(size)) for size in range(500)),
    "what hangs pysbd": "..[111 111 " * 3000,
    "apostrophes": "a'" * 50_000,
    "combining marks": "e\u0301" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("engine", ["trim", "text_rank"])
def test_hostile_text_is_cut_in_time(engine: str, name: str) -> None:
    _cut_in_time(engine, HOSTILE[name])


@pytest.mark.parametrize("engine", ["lex_rank", "lsa"])
@pytest.mark.parametrize(
    "name", ["opening brackets", "50,000 lines of one word", "sentences of every length", "one sentence of a megabyte"]
)
def test_hostile_text_is_cut_in_time_by_the_engines_of_sumy_too(engine: str, name: str) -> None:
    _cut_in_time(engine, HOSTILE[name])


def _cut_in_time(engine: str, text: str) -> None:
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "ok"}, {"role": "user", "content": "What?"}]
    started = time.process_time()
    result = compress(messages, CompressionSettings(engine=engine, max_input_tokens=200), model="gpt-4o")
    assert time.process_time() - started < 4
    assert result.after <= 200
    assert result.note in ("", f"too-long-for-{engine}")
