"""Write all-MiniLM-L6-v2 with weights of 8 bits: what the gateway serves with.

`python -m proxy.engines.embedders.export_int8 MODELS`. It takes two thirds of the time and a
quarter of the memory, and decides alike (docs/verifier.md). A process of its own: what quantizing
needs would stay in the memory of the importing one.
"""

import logging
import sys
import tempfile
from pathlib import Path

from proxy.engines.embedders.export import copy_tokenizer, load_graph
from proxy.engines.inference.exported_models import GRAPH_FILE, MINILM_INT8_ID, move_export


def export_int8(models: Path) -> None:
    """Write the folder of the quantized model into `models`, atomically.

    Raises what onnxruntime raises, and OSError.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # It advises a step that would fold constants, and thereby change the vectors.
    logging.getLogger().setLevel(logging.ERROR)
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=models) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        # A scale for each column: with one for all, vectors of a short text are off by a cosine of
        # .03 on average, not .005. Unsigned: processors without VNNI saturate products of signed.
        quantize_dynamic(
            load_graph(), made / GRAPH_FILE, weight_type=QuantType.QUInt8, per_channel=True
        )
        copy_tokenizer(made)
        move_export(made, models / MINILM_INT8_ID)


if __name__ == "__main__":
    export_int8(Path(sys.argv[1]))
