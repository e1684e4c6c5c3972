"""The table of word vectors, once in a process: 8 MB."""

from functools import lru_cache
from pathlib import Path

from proxy.core.text.word_vectors import WordVectors
from proxy.engines.inference.exported_models import WORD_VECTORS_FILE


@lru_cache(maxsize=1)
def open_word_table(models: Path) -> WordVectors:
    """Load the table of a folder of exported models; a tenth of a second. Raises OSError."""
    return WordVectors.load(models / WORD_VECTORS_FILE)
