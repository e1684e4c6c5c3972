"""Names of the models that `manage.py prepare_embedder` prepares, and of their files.

The folder of models has a folder for each, and the table of word vectors beside them.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Final

# all-MiniLM-L6-v2 with weights of 8 bits, and with those of 32 that it is made from.
MINILM_INT8_ID: Final = "all-MiniLM-L6-v2@onnx-uint8-384"
MINILM_ID: Final = "all-MiniLM-L6-v2@onnx-fp32-384"
MINILM_DIMENSION: Final = 384
GRAPH_FILE: Final = "model.onnx"
WEIGHTS_FILE: Final = "model.weights"
TOKENIZER_FILE: Final = "tokenizer.json"
# Made from MINILM_ID (`proxy.engines.embedders.export_word_vectors`). It is part of the product, so
# that machines of every kind find by the same vectors.
WORD_VECTORS_FILE: Final = f"{MINILM_ID}-words.npz"
SHIPPED_WORD_VECTORS: Final = Path(__file__).parents[1] / "embedders" / "words.npz"
# What the wheel brings along, and a checkout has not: the folder of MINILM_INT8_ID.
SHIPPED_MODELS: Final = SHIPPED_WORD_VECTORS.with_name("shipped")
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


def copy_shipped(models: Path) -> None:
    """Copy what the product brings along to the folder of models. Raises OSError."""
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=models) as scratch:
        shipped = SHIPPED_MODELS / MINILM_INT8_ID
        if shipped.is_dir():
            move_export(
                Path(shutil.copytree(shipped, Path(scratch) / "made")), models / shipped.name
            )
        table = models / WORD_VECTORS_FILE
        if not table.is_file():  # whole: another process may be reading
            shutil.copyfile(SHIPPED_WORD_VECTORS, Path(scratch) / table.name)
            (Path(scratch) / table.name).replace(table)


def has_model(models: Path) -> bool:
    """Whether the model that requests use is there."""
    folder = models / MINILM_INT8_ID
    return (folder / GRAPH_FILE).is_file() and (folder / TOKENIZER_FILE).is_file()


def is_prepared(models: Path) -> bool:
    """Whether the models that requests use are there."""
    return has_model(models) and (models / WORD_VECTORS_FILE).is_file()
