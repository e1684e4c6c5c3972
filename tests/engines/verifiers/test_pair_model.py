"""A verifier of the operator's own: its folder is refused with what is expected,
or decides as its calibration says."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from django.core.checks import CheckMessage

from gateway_project.checks.services import check_own_verifier
from proxy.core.errors import ToolUnavailable
from proxy.engines.verifiers.pair_model import (
    CALIBRATION_FILE,
    MAX_PAIR_TOKENS,
    PAIR_MODEL_SIGNS,
    PairModel,
    PairModelVerifier,
    find_folder_problem,
)
from tests.support import pair_models
from tests.support.pair_models import CALIBRATION, save_graph

MakeFolder = Callable[..., Path]


@pytest.fixture
def make_folder(models: Path, tmp_path: Path) -> MakeFolder:
    return partial(pair_models.make_folder, models, tmp_path / "own-verifier")


@pytest.mark.parametrize("numbers", [1, 2])
async def test_a_pair_is_scored_by_model_doubts_and_calibration(
    make_folder: MakeFolder, numbers: int
) -> None:
    verifier = PairModelVerifier(make_folder(numbers=numbers))
    asked, stored = "how do i pay", ["can i pay", "can i pay by card", "can i pay " * 100]
    near, further, endless = await verifier.score_questions(asked, stored)
    # 4 + 3 words and three around them: evidence 10, .85 at the usual evidence of 0.
    assert near == pytest.approx(1 / (1 + np.exp(-(10 + np.log(0.85 / 0.15)))))
    assert 0.85 < further < near
    assert endless == 0.0
    assert await verifier.bound_score(asked, stored[2]) == 1.0
    assert verifier.id.startswith("own-verifier@")
    await verifier.close()


async def test_a_doubtful_rule_counts_against_a_pair(make_folder: MakeFolder) -> None:
    verifier = PairModelVerifier(make_folder())
    plain, doubted = await verifier.score_questions(
        "pay with the Visa now", ["pay with the Visa now", "pay with the Amex now"]
    )
    assert doubted < plain
    await verifier.close()


def spoil(folder: Path, name: str) -> None:
    if name.startswith("no "):
        (folder / name[3:]).unlink()
    elif name == "model of three numbers":
        save_graph(folder / "model.onnx", numbers=3)
    elif name == "model that wants more":
        save_graph(folder / "model.onnx", extra_input="pixels")
    elif name == "calibration without a weight":
        broken = CALIBRATION | {"evidence": {"logit": 1.0}}
        (folder / CALIBRATION_FILE).write_text(json.dumps(broken))
    else:
        (folder / name.removeprefix("damaged ")).write_bytes(b"damaged")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no model.onnx", "has no model.onnx"),
        ("no tokenizer.json", "has no tokenizer.json"),
        ("no calibration.json", "train_verifier --verifier"),
        ("damaged model.onnx", "does not run"),
        ("damaged tokenizer.json", "does not run"),
        ("damaged calibration.json", "cannot be used"),
        ("calibration without a weight", "capitals"),
        ("model of three numbers", "gave 3 numbers"),
        ("model that wants more", "the model wants pixels"),
    ],
)
async def test_a_folder_of_another_shape_is_refused_with_what_is_expected(
    make_folder: MakeFolder, settings: object, name: str, told: str
) -> None:
    folder = make_folder()
    assert find_folder_problem(folder) is None
    spoil(folder, name)
    settings.VERIFIER = str(folder)  # type: ignore[attr-defined]
    (found,) = check_own_verifier()
    assert isinstance(found, CheckMessage)
    assert found.is_serious()
    assert told in found.msg
    assert "one number a pair, or two" in found.msg
    verifier = PairModelVerifier(folder)
    with pytest.raises(ToolUnavailable):
        await verifier.score_questions("how do i pay", ["can i pay"])
    await verifier.close()


async def test_pairs_together_score_as_each_alone(make_folder: MakeFolder) -> None:
    verifier = PairModelVerifier(make_folder())
    texts = [f"can i pay {'by card ' * number}" for number in range(12)]
    alone = [(await verifier.score_questions("how do i pay", [text]))[0] for text in texts]
    assert await verifier.score_questions("how do i pay", texts) == alone
    both = await asyncio.gather(
        *(verifier.score_questions("how do i pay", [text]) for text in texts)
    )
    assert [score for (score,) in both] == alone
    with pytest.raises(ToolUnavailable, match="busy"):
        await asyncio.gather(
            *(verifier.score_questions("is it late", [text], within=0.0) for text in texts)
        )
    await verifier.close()


def test_the_model_reads_a_pair_whole_or_not_at_all(make_folder: MakeFolder) -> None:
    model = PairModel(make_folder())
    assert model.read_pair("a " * (MAX_PAIR_TOKENS - 6), "b") is not None
    assert model.read_pair("a " * MAX_PAIR_TOKENS, "b") is None
    assert model.read_pair("", "") == 20 - 3


def test_what_is_weighed_is_named_with_its_sign() -> None:
    assert PAIR_MODEL_SIGNS == {"logit": 1, "capitals": -1, "replaced": -1}
