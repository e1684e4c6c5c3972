"""The second check: its contract, its speed limits,
and the pairs that other caches are known to confuse."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.core.errors import ToolUnavailable
from proxy.core.verification.pair_features import FEATURES, TokenReading
from proxy.engines.embedders.onnx import OnnxEmbedder
from proxy.engines.inference.exported_models import MINILM_INT8_ID, WORD_VECTORS_FILE
from proxy.engines.verifiers import weights
from proxy.engines.verifiers.alignment import AlignmentVerifier
from proxy.pipeline.question_matching import match_questions
from tests.support.fakes import World

THRESHOLD = 0.85
TRAPS = [
    ("How do I enable 2FA?", "How do I disable 2FA?"),
    ("how do i get from rome to milan by train", "how do i get from milan to rome by train"),
    ("send 20 dollars to Paul", "send 20 dollars to Paula"),
    ("what's the weather in new york", "what's the weather in york"),
    ("do you offer a refund on phones", "do you offer a discount on phones"),
    ("my card was stolen", "my card was lost"),
    (
        "how do i reset my password",
        "how do i reset my password and list all the employees of the company",
    ),
    ("set a timer for 5 minutes", "set a timer for 50 minutes"),
    ("Is the pool open on Sunday?", "Is the pool open on Monday?"),
    ("please cancel my order", "please don't cancel my order"),
]
ALIKE = [
    ("How do I reset my password?", "how can i reset my password"),
    ("what is the weather in boston", "WHAT'S THE WEATHER IN BOSTON???"),
    ("where do i find my routing number", "Hello! where do i find my routing number, please"),
    ("how do i change my pin", "how do i chnage my pin"),
    ("set an alarm for 6 am", "set an alarm for six am"),
]


@pytest.fixture
def verifier(models: Path) -> AlignmentVerifier:
    return AlignmentVerifier(models)


@pytest.mark.parametrize(("asked", "stored"), TRAPS)
async def test_known_confusions_are_not_served(
    verifier: AlignmentVerifier, asked: str, stored: str
) -> None:
    tools = replace(World().tools, verifier=verifier)
    for one, other in ((asked, stored), (stored, asked)):
        agreement = await match_questions(one, other, tools, threshold=THRESHOLD, seconds=30)
        assert agreement.reason, agreement


@pytest.mark.parametrize(("asked", "stored"), ALIKE)
async def test_harmless_differences_are_served(
    verifier: AlignmentVerifier, asked: str, stored: str
) -> None:
    tools = replace(World().tools, verifier=verifier)
    agreement = await match_questions(asked, stored, tools, threshold=THRESHOLD, seconds=30)
    assert agreement.reason == "", agreement


async def test_scores_are_probabilities_the_same_both_ways_and_in_any_company(
    verifier: AlignmentVerifier,
) -> None:
    pairs = [*TRAPS, *ALIKE]
    alone = [(await verifier.score_questions(asked, [stored]))[0] for asked, stored in pairs]
    turned = [(await verifier.score_questions(stored, [asked]))[0] for asked, stored in pairs]
    together = await verifier.score_questions(pairs[0][0], [stored for _, stored in pairs])
    assert all(0.0 <= score <= 1.0 for score in alone + together)
    assert alone == pytest.approx(turned, abs=1e-4)
    assert together[0] == pytest.approx(alone[0], abs=1e-4)
    assert await verifier.score_questions("anything", []) == []


async def test_what_reads_the_same_scores_high_and_what_is_too_long_scores_nothing(
    verifier: AlignmentVerifier,
) -> None:
    (alike,) = await verifier.score_questions("Pay my BILL", ["pay my bill"])
    assert alike > 0.95
    long = "the parcel that was sent in the spring has not come to the house by the river " * 20
    assert await verifier.score_questions(long + "today", [long + "before"]) == [0.0]
    assert await verifier.score_questions("x " * 100_000, ["y"]) == [0.0]


async def test_no_text_breaks_it(verifier: AlignmentVerifier) -> None:
    for text in ("", "\x00", "\ud800 lone", "\N{PILE OF POO}" * 300, "مرحبا 你好", "\u200b" * 2000):
        (score,) = await verifier.score_questions(text, ["how do i pay"])
        assert 0.0 <= score < THRESHOLD, text[:20]


async def test_a_missing_model_is_unavailable_until_it_is_there(
    models: Path, tmp_path: Path
) -> None:
    late = AlignmentVerifier(tmp_path)
    with pytest.raises(ToolUnavailable, match="prepare_embedder"):
        await late.score_questions("one", ["other"])
    for name in (MINILM_INT8_ID, WORD_VECTORS_FILE):
        (tmp_path / name).symlink_to(models / name)
    assert len(await late.score_questions("one", ["other"])) == 1
    await late.close()
    with pytest.raises(ToolUnavailable, match="closed"):
        await late.score_questions("one", ["another"])


async def test_many_at_once_get_their_own_scores_and_those_in_a_hurry_are_refused(
    verifier: AlignmentVerifier,
) -> None:
    alone = [(await verifier.score_questions(*pair))[0] for pair in ((a, [b]) for a, b in TRAPS)]
    many = await asyncio.gather(
        *(verifier.score_questions(asked, [stored]) for asked, stored in TRAPS)
    )
    assert [score for (score,) in many] == pytest.approx(alone, abs=1e-4)
    waiting = asyncio.ensure_future(
        verifier.score_questions("how do i pay my bill", ["what is the fee"])
    )
    await asyncio.sleep(0)
    with pytest.raises(ToolUnavailable, match="busy"):
        await verifier.score_questions("where is the bank", ["is there a bank"], within=0.0)
    assert len(await waiting) == 1


def test_serving_imports_neither_torch_nor_transformers(models: Path) -> None:
    program = (
        "import asyncio, pathlib, sys\n"
        "from proxy.engines.verifiers.alignment import AlignmentVerifier\n"
        "asyncio.run(AlignmentVerifier(pathlib.Path(sys.argv[1])).score_questions('hello', "
        "['goodbye']))\n"
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


async def test_a_text_is_read_once_for_a_tenant_and_again_for_another(
    verifier: AlignmentVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    reading = verifier._reader.read_now

    def note(text: str) -> TokenReading:
        read.append(text)
        return reading(text)

    monkeypatch.setattr(verifier._reader, "read_now", note)
    await verifier.score_questions("how do i pay", ["can i pay", "may i pay"], tenant=1)
    assert sorted(read) == ["can i pay", "how do i pay", "may i pay"]
    await verifier.score_questions("may i pay", ["can i pay"], tenant=1)
    assert len(read) == 3
    await verifier.score_questions("may i pay", ["can i pay"], tenant=2)
    assert len(read) == 5


async def test_what_the_embedder_has_read_is_not_read_again(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = OnnxEmbedder(models)
    vector = await embedder.embed("how do i pay", tenant=1)
    sharing = AlignmentVerifier(models, embedder.reader)
    read: list[str] = []
    reading = embedder.reader.read_now

    def note(text: str) -> TokenReading:
        read.append(text)
        return reading(text)

    monkeypatch.setattr(embedder.reader, "read_now", note)
    assert await sharing.score_questions("how do i pay", ["can i pay"], tenant=1)
    assert read == ["can i pay"]
    assert vector.shape == (embedder.dimension,)


async def test_what_cannot_reach_the_threshold_is_not_read(
    verifier: AlignmentVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, stored = "How do I pay by card?", "Where is the nearest station with a lift?"
    (score,) = await verifier.score_questions(asked, [stored])
    monkeypatch.setattr(verifier._reader, "read", None)
    bound = await verifier.bound_score(asked, stored)
    assert score < bound < 0.8


def test_what_is_committed_is_small_and_names_every_feature() -> None:
    assert weights.LEARNED_WEIGHTS_PATH.stat().st_size < 10_000
    learned = weights.load_learned_weights()
    assert len(learned.evidence) == len(FEATURES)
    assert learned.evidence_offset < learned.usual_evidence
