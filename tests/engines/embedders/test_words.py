"""Word vectors find entries without a model: a text has one vector, as long as one, whoever asks;
and what they cannot read is left alone as the model would leave it."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from proxy.core.errors import ToolUnavailable
from proxy.core.text.word_vectors import MAX_WORD_LENGTH, WORD_VECTOR_DIMENSION, WordVectors
from proxy.engines.embedders.comprehension import (
    MIN_COMPREHENSION,
    build_piece_splitter,
    measure_comprehension,
)
from proxy.engines.embedders.export import export_model
from proxy.engines.embedders.export_word_vectors import (
    FIRST_WORD_ID,
    MATRIX_PATH,
    embed_pieces,
    load_vocabulary,
    weigh_pieces,
)
from proxy.engines.embedders.onnx import OnnxEmbedder
from proxy.engines.embedders.words import WordEmbedder
from proxy.engines.inference.exported_models import (
    GRAPH_FILE,
    MINILM_ID,
    MINILM_INT8_ID,
    SHIPPED_WORD_VECTORS,
    WORD_INDEX_ID,
    WORD_VECTORS_FILE,
)
from proxy.engines.inference.word_table import open_word_table
from tests.support.texts.question_pairs import NOT_UNDERSTOOD

WORDLESS = ["", " ", "?!", "\N{PILE OF POO}", "\N{PILE OF POO}" * 300, "...", "\x00", "\u200b"]
# What decides the vectors: the id that entries are stored under, the matrix that the table was
# computed with, and the table.
PINNED = (
    "all-MiniLM-L6-v2@words1-128",
    "417550bf226a47a15fe60d8d28eb53c80df9063d2ffb70b95b5c26180952dae7",
    "71b0db3f6448ee3142da6cb8bb79c9b399884145a30f1f155013f43de3abb52d",
)
ASCII_TEXTS = [
    "How do I reset my password?",
    "cahnge my amex pin to 1234",
    "I",
    "a",
    "a b c d",
    "What is vitamin C?",
    "Is B2B the same as B2C?",
    "for i in range(10): print(i)",
    'Is this valid JSON: {"a": 1, "b": 2,}?',
    "x = y + z",
    "What does a++ do in C?",
    "snake_case_name",
    "__init__",
    "_a_ and I_",
    "foo_bar_1 is undefined",
    "don't, it's, I'm",
    "e-mail me at a.person@example.org",
    "https://a.example/x?y=z",
    "iOS 17.2 on a 4x4 w0rd",
    "7 - 3 = x",
    "2FA",
    "v1.10",
    "A.B.C.",
    "Wie aendere ich mein Passwort?",
    "Rechtsschutzversicherung kuendigen",
    "Wo finde ich die Rechnung fuer Maerz?",
    "Jak zmienic haslo?",
    "xqzj",
    "XQZJ qqq zzz",
    "hello\tworld\nagain",
    "q z x",
    "THE PARCEL HAS NOT ARRIVED!!!",
    "z" * MAX_WORD_LENGTH,
]


@pytest.fixture
def words(models: Path) -> WordEmbedder:
    return WordEmbedder(models, OnnxEmbedder(models))


async def test_a_text_has_one_unit_vector_of_128_numbers(words: WordEmbedder, models: Path) -> None:
    first = {text: await words.embed(text) for text in ASCII_TEXTS}
    again = WordEmbedder(models, OnnxEmbedder(models))
    for text, vector in reversed(first.items()):
        assert vector.shape == (WORD_VECTOR_DIMENSION,) == (128,) == (words.dimension,)
        assert vector.dtype == np.float32
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5), text
        for other in (words, again):
            assert np.array_equal(await other.embed(text), vector), text


async def test_a_text_has_the_vector_of_its_words_in_any_case_and_order(
    words: WordEmbedder,
) -> None:
    asked = await words.embed("How do I return a parcel?")
    assert asked @ await words.embed("a PARCEL, how do I return") == pytest.approx(1.0, abs=1e-5)
    near = float(asked @ await words.embed("Can I send a package back?"))
    far = float(asked @ await words.embed("Which wines go with fish?"))
    assert near > far + 0.2


@pytest.mark.parametrize("text", WORDLESS)
async def test_a_text_without_a_word_has_no_vector_and_is_none_that_is_understood(
    words: WordEmbedder, text: str
) -> None:
    assert not await words.has_vocabulary_for(text)
    with pytest.raises(ToolUnavailable, match="no word") as refused:
        await words.embed(text)
    assert refused.value.skipped  # a text's fault opens no circuit breaker


@pytest.mark.parametrize("language", NOT_UNDERSTOOD)
async def test_a_script_that_the_vocabulary_does_not_hold_is_not_understood_either(
    words: WordEmbedder, language: str
) -> None:
    assert not any(
        [await words.has_vocabulary_for(question) for question in NOT_UNDERSTOOD[language]]
    )


def test_an_ascii_text_is_covered_as_far_as_the_models_own_tokenizer_covers_it(
    models: Path,
) -> None:
    table = open_word_table(models)
    splits = build_piece_splitter(OnnxEmbedder(models).reader.open_tokenizer())
    found = {text: table.measure_coverage(text) for text in ASCII_TEXTS}
    assert found == {text: measure_comprehension(text, splits) for text in ASCII_TEXTS}
    shares = [share for share in found.values() if share is not None]
    assert min(shares) < MIN_COMPREHENSION < max(shares)  # both sides of the line are among them


@pytest.mark.parametrize(
    "text",
    ["Jak zmienić hasło?", "“quoted”", "你好", "7 - 3", "", "z" * (MAX_WORD_LENGTH + 1)],
)
def test_what_words_alone_cannot_tell_is_left_to_the_tokenizer(models: Path, text: str) -> None:
    assert open_word_table(models).measure_coverage(text) is None


async def test_both_embedders_understand_the_same(words: WordEmbedder, models: Path) -> None:
    model = OnnxEmbedder(models)
    for text in (*ASCII_TEXTS, "Jak zmienić hasło?", "Şifremi nasıl değiştiririm?", "7 - 3"):
        assert await words.has_vocabulary_for(text) == await model.has_vocabulary_for(text), text


async def test_a_missing_table_is_unavailable_until_it_is_there(
    models: Path, tmp_path: Path
) -> None:
    words = WordEmbedder(tmp_path, OnnxEmbedder(tmp_path))
    for call in (words.embed, words.has_vocabulary_for):
        with pytest.raises(ToolUnavailable, match="prepare_embedder"):
            await call("hello")
    for name in (MINILM_INT8_ID, WORD_VECTORS_FILE):
        (tmp_path / name).symlink_to(models / name)
    assert (await words.embed("hello")).shape == (128,)


def test_another_table_needs_another_id() -> None:
    """Vectors of two tables are not comparable, and the id alone keeps them apart.

    Whoever changes the matrix: write the table (`export_word_vectors`), raise the number in
    `WORD_INDEX_ID`, add a migration with an index for it, and pin all three here.
    """
    digests = [
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (MATRIX_PATH, SHIPPED_WORD_VECTORS)
    ]
    assert (WORD_INDEX_ID, *digests) == PINNED
    assert np.load(MATRIX_PATH).shape == (384, WORD_VECTOR_DIMENSION)
    assert WORD_INDEX_ID.endswith(f"-{WORD_VECTOR_DIMENSION}")
    assert WORD_INDEX_ID not in {MINILM_ID, MINILM_INT8_ID}


def test_the_shipped_table_is_what_the_model_and_the_matrix_give(tmp_path: Path) -> None:
    """Every sixtieth piece, since all take 20 s; the vocabulary's centre, which needs all, falls
    out of the differences."""
    export_model(tmp_path)
    pieces, table = load_vocabulary(tmp_path), WordVectors.load(SHIPPED_WORD_VECTORS)
    assert table._pieces == pieces
    some = np.arange(FIRST_WORD_ID, len(pieces), 60)
    stored = table._rows[some] / weigh_pieces(len(pieces))[some, None]
    made = embed_pieces(tmp_path / GRAPH_FILE, some) @ np.load(MATRIX_PATH).astype(np.float32)
    stored, made = stored - stored.mean(axis=0), made - made.mean(axis=0)
    scale = (stored * made).sum() / (made * made).sum()
    assert np.abs(stored - scale * made).max() < 0.002 * np.abs(stored).max()


def test_postgresql_has_an_index_of_its_own_for_the_id() -> None:
    migrations = Path(__file__).parents[3] / "proxy" / "migrations"
    assert any(f"'{WORD_INDEX_ID}'" in path.read_text() for path in migrations.glob("0*.py"))


def test_the_table_has_a_row_of_128_numbers_for_each_piece_of_the_vocabulary(models: Path) -> None:
    table = WordVectors.load(models / WORD_VECTORS_FILE)
    tokenizer = OnnxEmbedder(models).reader.open_tokenizer()
    assert table.embed_texts(["parcel"]).shape == (1, WORD_VECTOR_DIMENSION)
    assert len(table._pieces) == tokenizer.get_vocab_size()
