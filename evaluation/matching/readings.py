"""The gateway's own reading of questions, each text once however many pairs it is in."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxy.core.text.normalize import fold_text
from proxy.core.verification.pair_features import (
    TokenReading,
    WordReading,
    compute_cheap_features,
    compute_features,
)
from proxy.core.verification.rules.rule_registry import list_doubtful_objections
from proxy.engines.inference.sentence_reader import SentenceReader
from proxy.engines.verifiers.word_reader import WordReader

Floats = NDArray[np.float64]


class PairReader:
    """`models`: the folder of exported models."""

    def __init__(self, models: Path) -> None:
        self._sentences, self._word_reader = SentenceReader(models), WordReader(models)
        self._words: dict[str, WordReading] = {}
        self._tokens: dict[str, TokenReading] = {}

    def read(self, texts: Iterable[str]) -> None:
        """Read what is new among the texts; milliseconds each."""
        for text in texts:
            if text not in self._tokens:
                self._tokens[text] = self._sentences.read_now(fold_text(text))
                self._words[text] = self._word_reader.read_words(text)

    def compute_features(self, asked: str, stored: str) -> Floats:
        """Compute the features of a pair, as the verifier does."""
        self.read((asked, stored))
        return compute_features(
            (self._words[asked], self._tokens[asked]),
            (self._words[stored], self._tokens[stored]),
            list_doubtful_objections(asked, stored),
        )

    def compute_cheap_features(self, asked: str, stored: str) -> Floats:
        """Compute what the words of a pair tell."""
        self.read((asked, stored))
        return compute_cheap_features(self._words[asked], self._words[stored])

    def stack_means(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the model's unit vectors of the texts, one a row."""
        self.read(texts)
        return np.stack([self._tokens[text].mean for text in texts])
