"""`python -m evaluation.words --data <folder>`: learn the matrix that
`proxy.engines.embedders.export_word_vectors` makes word vectors with, which is the next step. Half
a minute.

From the questions that teach the verifier (`evaluation.matching.sources`, and the written groups
that teach); none of them judges anything. Ridge regression brings the mean of the rows of a text's
pieces to the vector that MiniLM has for the text; of the result the directions with most variance
are kept.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.matching.sources import read_sources
from evaluation.matching.train import list_texts
from evaluation.matching.written_sets import read_groups
from proxy.core.text.word_vectors import WordVectors, normalize_rows
from proxy.engines.embedders.export import export_model
from proxy.engines.embedders.export_word_vectors import (
    MATRIX_PATH,
    embed_pieces,
    load_vocabulary,
    weight_rows,
)
from proxy.engines.embedders.onnx import OnnxEmbedder
from proxy.engines.inference.exported_models import GRAPH_FILE, MINILM_ID

DIMENSION, RIDGE = 128, 10.0
# Characters of a text that are read.
LONGEST = 400
Floats = NDArray[np.float64]


def texts(folder: Path) -> list[str]:
    """What it is learned from, each text once."""
    written = (text for group in read_groups() if group.teaches for text in list_texts(group))
    found = {text[:LONGEST] for text in (*read_sources(folder).taught(), *written)}
    return sorted(found)


def learn(means: Floats, vectors: Floats) -> Floats:
    """The matrix, dimension of the means x DIMENSION. Both have a row of length 1 for each text."""
    matrix = np.linalg.solve(means.T @ means + RIDGE * np.eye(means.shape[1]), means.T @ vectors)
    images = means @ matrix
    directions = np.linalg.eigh(images.T @ images)[1][:, ::-1]  # by falling variance
    found: Floats = matrix @ directions[:, :DIMENSION]
    return found


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
    folder = arguments.models / MINILM_ID
    export_model(folder)
    pieces = load_vocabulary(folder)
    rows = weight_rows(embed_pieces(folder / GRAPH_FILE, np.arange(len(pieces))))
    some = texts(arguments.data)
    means = normalize_rows(WordVectors(pieces, rows).embed_texts(some)).astype(np.float64)
    np.save(
        MATRIX_PATH, learn(means, asyncio.run(_vectors(arguments.models, some))).astype(np.float16)
    )
    print(f"{MATRIX_PATH}: from {len(some)} texts")


if __name__ == "__main__":
    main()
