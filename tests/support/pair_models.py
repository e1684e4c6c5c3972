"""A folder with a small model that reads pairs, as an operator's own verifier."""

import json
import shutil
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from proxy.engines.inference.exported_models import MINILM_INT8_ID
from proxy.engines.verifiers.pair_model import CALIBRATION_FILE

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


def make_folder(models: Path, folder: Path, **graph: object) -> Path:
    """A folder that can be used; `graph`: see `save_graph`."""
    folder.mkdir()
    save_graph(folder / "model.onnx", **graph)  # type: ignore[arg-type]
    shutil.copyfile(models / MINILM_INT8_ID / "tokenizer.json", folder / "tokenizer.json")
    (folder / CALIBRATION_FILE).write_text(json.dumps(CALIBRATION))
    return folder
