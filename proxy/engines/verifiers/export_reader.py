"""Export all-MiniLM-L6-v2 with weights of 8 bits, from its export for the embedder.

`python -m proxy.engines.verifiers.export_reader MODELS`. It takes two thirds of the time and a
quarter of the memory, and decides alike (docs/verifier.md). A process of its own: what quantizing
needs would stay in the memory of the importing one.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from proxy.engines.inference.exported_models import (
    GRAPH_FILE,
    MINILM_ID,
    MINILM_INT8_ID,
    TOKENIZER_FILE,
)
from proxy.engines.verifiers.weights import is_prepared


def export_reader(models: Path) -> None:
    """Write the folder of the quantized model into `models`, atomically.

    Raises what onnxruntime raises, and OSError.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory(prefix=".export-", dir=models) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        quantize_dynamic(
            models / MINILM_ID / GRAPH_FILE, made / GRAPH_FILE, weight_type=QuantType.QInt8
        )
        shutil.copyfile(models / MINILM_ID / TOKENIZER_FILE, made / TOKENIZER_FILE)
        folder = models / MINILM_INT8_ID
        if folder.exists() and not is_prepared(models):
            shutil.rmtree(folder)
        try:
            made.rename(folder)
        except OSError:
            if not is_prepared(models):  # otherwise another process was first
                raise


if __name__ == "__main__":
    export_reader(Path(sys.argv[1]))
