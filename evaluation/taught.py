"""Which texts the verifier learned from, by digest:
committed beside its weights, so that no evaluation scores them, in whatever folder they turn up."""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import numpy as np

from evaluation.split import plain
from proxy.engines.verifiers.weights import LEARNED_WEIGHTS_PATH

TAUGHT = LEARNED_WEIGHTS_PATH.with_name("taught.npy")


def write(texts: Iterable[str], path: Path = TAUGHT) -> int:
    """Keep the digests of these texts; how many they are. Raises OSError."""
    digests = np.array(sorted({_digest(text) for text in texts}), dtype=np.uint64)
    np.save(path, digests)
    return len(digests)


def is_taught(text: str) -> bool:
    """Whether the committed weights were trained or tuned on this text,
    or on one that differs in case, punctuation or politeness alone."""
    return _digest(text) in _known()


@lru_cache(maxsize=1)
def _known() -> frozenset[int]:
    return frozenset(np.load(TAUGHT, allow_pickle=False).tolist())


def _digest(text: str) -> int:
    return int.from_bytes(
        blake2b(plain(text).encode(errors="replace"), digest_size=8).digest(), "big"
    )
