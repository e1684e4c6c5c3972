"""`python -m evaluation.words --data <folder>`: learn the matrix that
`proxy.engines.embedders.export_word_vectors` makes word vectors with. Minutes.

From questions that may be used for any purpose when their makers are named, none of which is in the
chats that judge compression: PAWS-Wiki, Banking77 (CC BY 4.0), CLINC150 (CC BY 3.0), fow-cache (CC
BY 4.0) and MT-Bench (Apache-2.0). Ridge regression brings the mean of the rows of a text's pieces
to the vector that MiniLM has for the text; of the result the directions with most variance are
kept.
"""

import argparse
import asyncio
import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy.core.text.word_vectors import WordVectors, normalize_rows
from proxy.engines.embedders.export_word_vectors import (
    MATRIX_PATH,
    embed_pieces,
    load_vocabulary,
    weight_rows,
)
from proxy.engines.embedders.onnx import GRAPH_FILE, MINILM_ID, OnnxEmbedder

DIMENSION, RIDGE = 128, 10.0
# Characters of a text that are read.
LONGEST = 400
# Sources of rows that ask for no more than a name. What is derived from SGD (CC BY-SA) or of mixed
# origin is left out.
FREE = ("paws", "banking77", "fow", "mt-bench")

Floats = NDArray[np.float64]


def texts(folder: Path) -> list[str]:
    """What it is learned from, each text once."""
    found = {text[:LONGEST] for text in _texts(folder)}
    return sorted(found)


def learn(means: Floats, vectors: Floats) -> Floats:
    """The matrix, dimension of the means x DIMENSION. Both have a row of length 1 for each text."""
    matrix = np.linalg.solve(means.T @ means + RIDGE * np.eye(means.shape[1]), means.T @ vectors)
    images = means @ matrix
    directions = np.linalg.eigh(images.T @ images)[1][:, ::-1]  # by falling variance
    found: Floats = matrix @ directions[:, :DIMENSION]
    return found


def _texts(folder: Path) -> Iterator[str]:
    for row in _rows(folder / "cache_pairs.jsonl.gz"):
        if row["source"] in FREE:
            yield from (row["a"], row["b"])
    for row in _rows(folder / "faq_stream.jsonl.gz"):
        yield row["query"]
    for row in _rows(folder / "multiturn.jsonl.gz"):
        if row["source"] in FREE:
            yield from (message["content"] for message in row["a"])


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


async def _vectors(models: Path, some: Sequence[str]) -> Floats:
    embedder = OnnxEmbedder(models)
    return np.array([await embedder.embed(text) for text in some], dtype=np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evaluation.words", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder with cache_pairs.jsonl.gz and the others"
    )
    parser.add_argument(
        "--models",
        type=Path,
        default=Path("var/models"),
        help="where prepare_embedder has put its models",
    )
    arguments = parser.parse_args()
    pieces = load_vocabulary(arguments.models)
    rows = weight_rows(embed_pieces(arguments.models / MINILM_ID / GRAPH_FILE, len(pieces)))
    some = texts(arguments.data)
    means = normalize_rows(WordVectors(pieces, rows).embed_texts(some)).astype(np.float64)
    np.save(
        MATRIX_PATH, learn(means, asyncio.run(_vectors(arguments.models, some))).astype(np.float16)
    )
    print(f"{MATRIX_PATH}: from {len(some)} texts")


if __name__ == "__main__":
    main()
