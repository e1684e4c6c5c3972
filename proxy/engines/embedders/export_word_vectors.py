"""Compute the table of vectors of word pieces, `words.npz` beside this file, in some 20 s.

`python -m proxy.engines.embedders.export_word_vectors FOLDER`, whose model
`proxy.engines.embedders.export` wrote: after a change of the matrix, since the table is part of the
product. Each piece of the vocabulary is encoded alone and weighted by how rare it is, and
multiplied by a matrix that brings the mean of a text's pieces as near as possible to the model's
vector of the text. `evaluation.words` learned the matrix, and says from what.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy.core.text.word_vectors import WordVectors
from proxy.engines.inference.exported_models import (
    GRAPH_FILE,
    SHIPPED_WORD_VECTORS,
    TOKENIZER_FILE,
)

MATRIX_PATH = Path(__file__).with_name("words.npy")
# Of BERT's vocabulary: the tokens around a text, and where words begin, after special tokens and
# single characters.
START_TOKEN_ID, END_TOKEN_ID, FIRST_WORD_ID = 101, 102, 1996
# The offset of a rank in Zipf's law, and the probability of a word with half the weight of a rare
# one.
ZIPF_RANK_OFFSET, HALF_WEIGHT_PROBABILITY = 2.7, 1e-4
BATCH_PIECES = 256

Floats = NDArray[np.float32]


def write_word_vectors(folder: Path) -> None:
    """Write the table from the model in `folder`. Raises what onnxruntime raises, and OSError."""
    pieces = load_vocabulary(folder)
    rows = weight_rows(embed_pieces(folder / GRAPH_FILE, np.arange(len(pieces)))) @ np.load(
        MATRIX_PATH
    ).astype(np.float32)
    WordVectors(pieces, rows / np.linalg.norm(rows, axis=1).max()).save(SHIPPED_WORD_VECTORS)


def load_vocabulary(folder: Path) -> list[str]:
    """Return the word pieces of the model in `folder`, by index. Raises OSError."""
    found: dict[str, int] = json.loads((folder / TOKENIZER_FILE).read_text(encoding="utf-8"))[
        "model"
    ]["vocab"]
    return sorted(found, key=found.__getitem__)


def weight_rows(rows: Floats) -> Floats:
    """Center the vocabulary's rows and weight each by how rare its piece is."""
    centred = rows - rows[FIRST_WORD_ID:].mean(axis=0)
    found: Floats = (centred * weigh_pieces(len(rows))[:, None]).astype(np.float32)
    return found


def weigh_pieces(size: int) -> NDArray[np.float64]:
    """Return the weight of each piece of a vocabulary in order of frequency."""
    # Arora, Liang and Ma 2017. The order of frequency gives the probabilities by Zipf's law.
    chance = 1 / (np.arange(size) + ZIPF_RANK_OFFSET)
    weights: NDArray[np.float64] = HALF_WEIGHT_PROBABILITY / (
        HALF_WEIGHT_PROBABILITY + chance / chance.sum()
    )
    return weights


def embed_pieces(graph: Path, pieces: NDArray[np.int64]) -> Floats:
    """Encode each piece alone; shape (pieces, dimension)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    return np.concatenate(
        [
            _embed_batch(session, pieces[first : first + BATCH_PIECES])
            for first in range(0, len(pieces), BATCH_PIECES)
        ]
    )


def _embed_batch(session: Any, pieces: NDArray[np.int64]) -> Floats:
    ids = np.stack(
        [np.full(len(pieces), START_TOKEN_ID), pieces, np.full(len(pieces), END_TOKEN_ID)], axis=1
    ).astype(np.int64)
    inputs = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    found: Floats = session.run(["last_hidden_state"], inputs)[0].mean(axis=1)
    return found


if __name__ == "__main__":
    write_word_vectors(Path(sys.argv[1]))
