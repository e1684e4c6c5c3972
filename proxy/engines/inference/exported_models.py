"""Names of the models that `manage.py prepare_embedder` exports, and of their files.

The folder of models has a folder for each, and the table of word vectors beside them.
"""

import shutil
from pathlib import Path
from typing import Final

# all-MiniLM-L6-v2 with weights of 8 bits, and what it is made from.
MINILM_INT8_ID: Final = "all-MiniLM-L6-v2@onnx-uint8-384"
MINILM_ID: Final = "all-MiniLM-L6-v2@onnx-fp32-384"
MINILM_DIMENSION: Final = 384
GRAPH_FILE: Final = "model.onnx"
WEIGHTS_FILE: Final = "model.weights"
TOKENIZER_FILE: Final = "tokenizer.json"
# Made from MINILM_ID (`proxy.engines.embedders.export_word_vectors`).
WORD_VECTORS_FILE: Final = f"{MINILM_ID}-words.npz"
# Vectors of texts by that table. To be raised with each change of the table: vectors of two tables
# are not comparable.
WORD_INDEX_ID: Final = "all-MiniLM-L6-v2@words1-128"


def move_export(made: Path, folder: Path) -> None:
    """Move an export to its place, whole; one that is there stays. Raises OSError."""
    files = {path.name for path in made.iterdir()}
    if folder.exists() and not files <= {path.name for path in folder.iterdir()}:
        shutil.rmtree(folder)
    try:
        made.rename(folder)
    except OSError:
        if not files <= {path.name for path in folder.iterdir()}:
            raise


def is_exported(models: Path) -> bool:
    """Whether the models that requests use can be made without the libraries that train."""
    files = [models / MINILM_ID / name for name in (GRAPH_FILE, WEIGHTS_FILE, TOKENIZER_FILE)]
    return all(file.is_file() for file in (*files, models / WORD_VECTORS_FILE))


def is_prepared(models: Path) -> bool:
    """Whether the models that requests use are there."""
    files = [models / MINILM_INT8_ID / name for name in (GRAPH_FILE, TOKENIZER_FILE)]
    return all(file.is_file() for file in (*files, models / WORD_VECTORS_FILE))
