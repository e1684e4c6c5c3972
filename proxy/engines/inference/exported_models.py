"""Names of the models that `manage.py prepare_embedder` exports, and of their files.

The folder of models has a folder for each, and the table of word vectors beside them.
"""

from typing import Final

# all-MiniLM-L6-v2, and the same with weights of 8 bits.
MINILM_ID: Final = "all-MiniLM-L6-v2@onnx-fp32-384"
MINILM_INT8_ID: Final = "all-MiniLM-L6-v2@onnx-int8-384"
MINILM_DIMENSION: Final = 384
GRAPH_FILE: Final = "model.onnx"
WEIGHTS_FILE: Final = "model.weights"
TOKENIZER_FILE: Final = "tokenizer.json"
# Made from MINILM_ID (`proxy.engines.embedders.export_word_vectors`).
WORD_VECTORS_FILE: Final = f"{MINILM_ID}-words.npz"
