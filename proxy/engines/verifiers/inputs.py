"""Pairs of texts as the input arrays of the verifier's network."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of a pair, with the three special tokens around its texts. Longer pairs are not scored.
MAX_PAIR_TOKENS = 160


def build_pair_arrays(
    tokenizer: Any, pairs: Sequence[tuple[str, str]]
) -> dict[str, NDArray[np.int64]]:
    """Build ids, mask and segments, each of shape (pairs, tokens).

    `tokenizer` must truncate at MAX_PAIR_TOKENS and not pad.
    """
    encoded = tokenizer.encode_batch(list(pairs))
    shape = len(pairs), max(len(each.ids) for each in encoded)
    made = {
        name: np.zeros(shape, dtype=np.int64)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    for row, each in enumerate(encoded):
        made["input_ids"][row, : len(each.ids)] = each.ids
        made["attention_mask"][row, : len(each.ids)] = 1
        made["token_type_ids"][row, : len(each.ids)] = each.type_ids
    return made
