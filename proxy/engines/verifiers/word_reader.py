"""Read the words of a question by the table of word vectors."""

from pathlib import Path

import numpy as np

from proxy.core.errors import ToolUnavailable
from proxy.core.text.normalize import fold_text
from proxy.core.text.word_vectors import WordVectors
from proxy.core.verification.pair_features import WordReading
from proxy.engines.inference.exported_models import is_prepared
from proxy.engines.inference.word_table import open_word_table

# Words that say little of what a question is about, in English.
FUNCTION_WORDS = frozenset(
    (
        "a an the of to in on at for from by with and or i my me we our us you your he she it its "
        "they them their is are was were be been am do does did can could will would should may "
        "might have has had there this that these those what who where when why how which please "
        "so as if not no than then up out about into over"
    ).split()
)


class WordReader:
    """`models`: the folder of exported models."""

    def __init__(self, models: Path) -> None:
        self._models = models
        self._table: WordVectors | None = None

    @property
    def is_loaded(self) -> bool:
        return self._table is not None

    def read_words(self, text: str) -> WordReading:
        """Read a text; some thirty microseconds. Raises ToolUnavailable."""
        found = self.load().embed_words(fold_text(text))
        content = np.array([word not in FUNCTION_WORDS for word in found.words], dtype=bool)
        return WordReading(found.vectors[content], found.weights[content], found.mean)

    def load(self) -> WordVectors:
        """Load the table unless it is loaded. Raises ToolUnavailable."""
        if self._table is None:
            if not is_prepared(self._models):
                raise ToolUnavailable(
                    "verifier", "its model is not exported: run manage.py prepare_embedder"
                )
            self._table = open_word_table(self._models)
        return self._table
