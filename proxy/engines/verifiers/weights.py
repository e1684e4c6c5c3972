"""Where the verifier's model is: the learned weights, committed here, and the export of set-up."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Plain arrays, read without pickle. docs/verifier.md says what they were learned from.
LEARNED_WEIGHTS_PATH = Path(__file__).with_name("weights.npz")
GRAPH_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
# The embedder whose cosines are used, by its id in `proxy.engines.embedders.onnx`.
MINILM_ID = "all-MiniLM-L6-v2@onnx-fp32-384"
# Slope and offset of the curve over all evidence, and over the logit alone if no cosine is known.
EVIDENCE_CURVE, LOGIT_CURVE = "calibration.with_cosine", "calibration.alone"


def load_learned_weights() -> dict[str, NDArray[Any]]:
    """Load the committed arrays by name. Raises OSError."""
    with np.load(LEARNED_WEIGHTS_PATH, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def load_curves() -> dict[str, NDArray[np.float64]]:
    """Load only the curves from the committed arrays. Raises OSError."""
    with np.load(LEARNED_WEIGHTS_PATH, allow_pickle=False) as arrays:
        return {name: arrays[name].astype(np.float64) for name in (EVIDENCE_CURVE, LOGIT_CURVE)}


@cache
def verifier_id() -> str:
    """Return the id of the committed weights; other weights are exported again under another id."""
    return f"minilm-pairs@{hashlib.sha256(LEARNED_WEIGHTS_PATH.read_bytes()).hexdigest()[:12]}-int8"


def is_prepared(models: Path) -> bool:
    """Whether the export exists; it is moved in atomically, so its files are complete."""
    return all((models / verifier_id() / name).is_file() for name in (GRAPH_FILE, TOKENIZER_FILE))
