"""The terms of all sentences of a chat in two arrays, as the graph wants them."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy.core.compression.passage import Passage

Integers = NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True)
class Bags:
    """`terms`: a number for each occurrence, sentence after sentence, equal for equal terms; `sizes`: occurrences in each sentence."""

    terms: Integers
    sizes: Integers

    @classmethod
    def of(cls, sentences: Sequence[Sequence[Hashable]]) -> "Bags":
        """From the terms themselves."""
        known: dict[Hashable, int] = {}
        terms = [known.setdefault(term, len(known)) for sentence in sentences for term in sentence]
        return cls(np.array(terms, dtype=np.int64), np.array([len(sentence) for sentence in sentences], dtype=np.int32))

    @classmethod
    def joined(cls, passages: Iterable[Passage]) -> "Bags":
        """From texts read one by one."""
        read = list(passages)
        terms = np.frombuffer(b"".join([passage.terms for passage in read]), dtype=np.int64)
        return cls(terms, np.frombuffer(b"".join([passage.sizes for passage in read]), dtype=np.int32))
