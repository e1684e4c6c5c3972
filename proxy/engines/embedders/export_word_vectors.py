"""`python -m proxy.engines.embedders.export_word_vectors MODELS`: vectors of word pieces from the
exported model, without a network, in some 20 s.

Each piece of the vocabulary goes through the model alone. Its vector, weighted by how rare it is
(Arora, Liang and Ma 2017; the vocabulary is in order of frequency, so Zipf's law gives the
probabilities), goes through a matrix that brings the mean of a text's pieces as near as it can to
what the model says of the whole text. `evaluation.words` learned the matrix, and says from what.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy.core.text.word_vectors import WordVectors
from proxy.engines.embedders.onnx import GRAPH, MINILM_ID, TOKENIZER, WORDS

MATRIX = Path(__file__).with_name("words.npy")
# Of BERT's vocabulary: the marks around a text, and where words begin, after marks and single
# characters.
START, END, FIRST_WORD = 101, 102, 1996
# What is added to a rank in Zipf's law, and the probability of a word that is worth half of a rare
# one.
MANDELBROT, COMMON = 2.7, 1e-4
BATCH = 256

Floats = NDArray[np.float32]


def make(models: Path) -> None:
    """Write the table beside the exported model. Raises what onnxruntime raises, and OSError."""
    pieces = vocabulary(models)
    rows = weighted(alone(models / MINILM_ID / GRAPH, len(pieces))) @ np.load(MATRIX).astype(
        np.float32
    )
    WordVectors(pieces, rows / np.linalg.norm(rows, axis=1).max()).save(models / WORDS)


def vocabulary(models: Path) -> list[str]:
    """The word pieces of the exported model, by index. Raises OSError."""
    found: dict[str, int] = json.loads(
        (models / MINILM_ID / TOKENIZER).read_text(encoding="utf-8")
    )["model"]["vocab"]
    return sorted(found, key=found.__getitem__)


def weighted(rows: Floats) -> Floats:
    """Rows of the vocabulary around their middle, each as long as its piece is rare."""
    chance = 1 / (np.arange(len(rows)) + MANDELBROT)
    weights = COMMON / (COMMON + chance / chance.sum())
    found: Floats = ((rows - rows[FIRST_WORD:].mean(axis=0)) * weights[:, None]).astype(np.float32)
    return found


def alone(graph: Path, size: int) -> Floats:
    """What the model says of each piece, size x dimension."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    return np.concatenate(
        [
            _states(session, np.arange(first, min(first + BATCH, size)))
            for first in range(0, size, BATCH)
        ]
    )


def _states(session: Any, pieces: NDArray[np.int64]) -> Floats:
    ids = np.stack([np.full(len(pieces), START), pieces, np.full(len(pieces), END)], axis=1).astype(
        np.int64
    )
    inputs = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    found: Floats = session.run(["last_hidden_state"], inputs)[0].mean(axis=1)
    return found


if __name__ == "__main__":
    make(Path(sys.argv[1]))
