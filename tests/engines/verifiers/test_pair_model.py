"""A verifier of the operator's own: its folder is refused with what is expected,
or decides as its calibration says."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from django.core.checks import CheckMessage
from onnx import TensorProto, helper

from gateway_project.checks.services import check_own_verifier
from proxy.core.errors import ToolUnavailable
from proxy.engines.inference.exported_models import MINILM_INT8_ID
from proxy.engines.verifiers.pair_model import (
    CALIBRATION_FILE,
    MAX_PAIR_TOKENS,
    PAIR_MODEL_SIGNS,
    PairModel,
    PairModelVerifier,
    find_folder_problem,
)

MakeFolder = Callable[..., Path]
CALIBRATION = {
    "evidence": {"logit": 1.0, "capitals": -2.0, "replaced": -1.0},
    "evidence_offset": 0.0,
    "usual_evidence": 0.0,
}


def save_graph(file: Path, *, numbers: int = 1, extra_input: str = "") -> None:
    """A model whose number is 20 less the tokens of the pair; of two numbers the first is 0."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, [1, None])
        for name in ("input_ids", "attention_mask", *([extra_input] if extra_input else []))
    ]
    weights, offset = ([0.0] * (numbers - 1) + [last] for last in (-1.0, 20.0))
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["mask"], ["count"], keepdims=1),
            helper.make_node("MatMul", ["count", "weights"], ["minus"]),
            helper.make_node("Add", ["minus", "offset"], ["logits"]),
        ],
        "pairs",
        inputs,
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [
            helper.make_tensor("weights", TensorProto.FLOAT, [1, numbers], weights),
            helper.make_tensor("offset", TensorProto.FLOAT, [numbers], offset),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, str(file))


@pytest.fixture
def make_folder(models: Path, tmp_path: Path) -> MakeFolder:
    def make(**graph: object) -> Path:
        folder = tmp_path / "own-verifier"
        folder.mkdir()
        save_graph(folder / "model.onnx", **graph)  # type: ignore[arg-type]
        shutil.copyfile(models / MINILM_INT8_ID / "tokenizer.json", folder / "tokenizer.json")
        (folder / CALIBRATION_FILE).write_text(json.dumps(CALIBRATION))
        return folder

    return make


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
