"""The graph of all-MiniLM-L6-v2 for onnxruntime, from the weights of a `model.safetensors`.

A BERT of six layers (Devlin et al. 2019, arXiv:1810.04805; huggingface.co/nreimers/
MiniLM-L6-H384-uncased), written with onnx alone: torch and transformers, which can export the same,
take 1.5 GB of disk. Each step is in the order that torch computes it in, since quantizing makes a
step of 8 bits out of a difference in the last bit.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

HIDDEN_SIZE: Final = 384
HEAD_COUNT: Final = 12
HEAD_SIZE: Final = HIDDEN_SIZE // HEAD_COUNT
LAYER_COUNT: Final = 6
NORM_EPSILON: Final = 1e-12
OPSET: Final = 18  # the first with all that is used here; onnxruntime reads later ones too
IR_VERSION: Final = 8  # of the file, which goes with the opset
INPUT_NAMES: Final = ("input_ids", "attention_mask", "token_type_ids")  # int64, texts x tokens
OUTPUT_NAME: Final = "last_hidden_state"  # float32, texts x tokens x HIDDEN_SIZE

Weights = Mapping[str, NDArray[np.float32]]


def build_graph(weights: Weights) -> Any:
    """Return the `onnx.ModelProto`. Raises KeyError for a weight that is missing."""
    return _GraphBuilder(weights).build()


class _GraphBuilder:
    """Adds node after node; every method returns the name of the tensor it adds."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._tensors: dict[str, Any] = {}
        self._root = ""

    def build(self) -> Any:
        from onnx import TensorProto, checker, helper

        mask, states = self._add_mask(), self._add_embeddings()
        for layer in range(LAYER_COUNT):
            states = self._add_layer(f"encoder.layer.{layer}", states, mask)
        self._nodes[-1].output[0] = OUTPUT_NAME
        axes = ["batch_size", "sequence_length"]
        graph = helper.make_graph(
            self._nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name in INPUT_NAMES],
            [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, [*axes, HIDDEN_SIZE])],
            list(self._tensors.values()),
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        checker.check_model(model)
        return model

    def _add_embeddings(self) -> str:
        """Words, kinds and places of the tokens, added up and normalized."""
        words = self._add(
            "Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids", axis=0
        )
        kinds = self._add(
            "Gather", self._weight("embeddings.token_type_embeddings.weight"), "token_type_ids"
        )
        shape = self._add("Shape", "input_ids", start=1, end=2)
        places = self._add(
            "Slice",
            self._constant("places", np.arange(512, dtype=np.int64)[None]),
            self._constant("zeros", np.zeros(1, np.int64)),
            shape,
            self._constant("ones", np.ones(1, np.int64)),
        )
        placed = self._add("Gather", self._weight("embeddings.position_embeddings.weight"), places)
        return self._add_norm(
            "embeddings.LayerNorm", self._add("Add", self._add("Add", words, kinds), placed)
        )

    def _add_mask(self) -> str:
        """What is added to attention: 0 for a token, the least float for padding."""
        from onnx import TensorProto

        axes = self._constant("mask_axes", np.array([1, 2], dtype=np.int64))
        mask = self._add("Unsqueeze", "attention_mask", axes)
        floats = self._add("Cast", mask, to=TensorProto.FLOAT)
        absent = self._add("Sub", self._constant("one", np.float32(1)), floats)
        least = self._constant("least", np.finfo(np.float32).min)
        return self._add("Where", self._add("Cast", absent, to=TensorProto.BOOL), least, absent)

    def _add_layer(self, layer: str, states: str, mask: str) -> str:
        attended = self._add_linear(
            f"{layer}.attention.output.dense", self._add_attention(layer, states, mask)
        )
        states = self._add_norm(
            f"{layer}.attention.output.LayerNorm", self._add("Add", attended, states)
        )
        inner = self._add_gelu(self._add_linear(f"{layer}.intermediate.dense", states))
        outer = self._add_linear(f"{layer}.output.dense", inner)
        return self._add_norm(f"{layer}.output.LayerNorm", self._add("Add", outer, states))

    def _add_attention(self, layer: str, states: str, mask: str) -> str:
        query, key, value = (
            self._add_heads(f"{layer}.attention.self.{name}", states, order)
            for name, order in (
                ("query", (0, 2, 1, 3)),
                ("key", (0, 2, 3, 1)),
                ("value", (0, 2, 1, 3)),
            )
        )
        root = self._root = self._root or self._add_root_of_scale(query)
        weights = self._add("MatMul", self._add("Mul", query, root), self._add("Mul", key, root))
        shares = self._add("Softmax", self._add("Add", weights, mask), axis=-1)
        heads = self._add("Transpose", self._add("MatMul", shares, value), perm=(0, 2, 1, 3))
        joined = self._constant("joined", np.array([0, 0, HIDDEN_SIZE], dtype=np.int64))
        return self._add("Reshape", heads, joined)

    def _add_root_of_scale(self, heads: str) -> str:
        """The root of the scale of attention, for either factor, as torch's attention is exported.

        Read off a tensor's shape: onnxruntime multiplies by a constant at another place, which
        changes the last bits, and thereby the vectors of 8 bits by a cosine of up to .004.
        """
        from onnx import TensorProto

        start, end = (
            self._constant(name, np.array([place], dtype=np.int64))
            for name, place in (("last", -1), ("end", np.iinfo(np.int64).max))
        )
        size = self._add("Slice", self._add("Shape", heads), start, end)
        root = self._add("Sqrt", self._add("Cast", size, to=TensorProto.FLOAT))
        return self._add("Sqrt", self._add("Div", self._constant("one", np.float32(1)), root))

    def _add_heads(self, name: str, states: str, order: tuple[int, ...]) -> str:
        split = self._constant("split", np.array([0, 0, HEAD_COUNT, HEAD_SIZE], dtype=np.int64))
        return self._add(
            "Transpose", self._add("Reshape", self._add_linear(name, states), split), perm=order
        )

    def _add_linear(self, name: str, states: str) -> str:
        # Torch keeps a layer's matrix as outputs x inputs.
        matrix = self._constant(f"{name}.weight", self._weights[f"{name}.weight"].T)
        return self._add("Add", self._weight(f"{name}.bias"), self._add("MatMul", states, matrix))

    def _add_gelu(self, states: str) -> str:
        ratio = self._add("Div", states, self._constant("sqrt2", np.float32(math.sqrt(2))))
        shifted = self._add("Add", self._add("Erf", ratio), self._constant("one", np.float32(1)))
        product = self._add("Mul", states, shifted)
        return self._add("Mul", product, self._constant("half", np.float32(0.5)))

    def _add_norm(self, name: str, states: str) -> str:
        weight, bias = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self._add("LayerNormalization", states, weight, bias, axis=-1, epsilon=NORM_EPSILON)

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _constant(self, name: str, value: Any) -> str:
        from onnx import numpy_helper

        if name not in self._tensors:
            self._tensors[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def _add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name
