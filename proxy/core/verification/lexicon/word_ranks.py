"""English words and their frequencies: the word lists of two packages, as hashes.

`pyspellchecker` (MIT) has 160,000 words that are spelled right; `wordfreq` (Apache 2.0, data of
2021) counts 320,000 spellings, wrong ones among them. Only their files are read, neither is
imported: 0.2 s and 16 MB a worker, so the worker reads them before it serves.
"""

import gzip
import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

import msgpack
import numpy as np
from numpy.typing import NDArray

from proxy.core.text.languages import MAX_WORD_LENGTH
from proxy.core.verification.lexicon.given_names import COMMON_WORD_NAMES, GIVEN_NAMES
from proxy.core.verification.lexicon.places import CALENDAR_NAMES, PLACE_NAMES

# A spelling this frequent is a word, whatever a dictionary says: usb, pdf.
MIN_COMMON_FREQUENCY = 3.0
CACHED_WORDS = 20_000
# The file has a list of words for each hundredth of a power of ten below a frequency of one.
_STEPS_PER_DECADE, _BILLION_EXPONENT = 100, 9


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Sorted hashes of correctly spelled words, and of all counted spellings.

    `frequencies`: of `counted_digests`, as `zipf_frequency` returns them.
    """

    spelled_digests: NDArray[np.int64]
    counted_digests: NDArray[np.int64]
    frequencies: NDArray[np.float32]

    def has_spelling(self, word: str) -> bool:
        """Return whether a dictionary has this lower-case word."""
        digest = hash(word)
        place = int(self.spelled_digests.searchsorted(digest))
        return place < len(self.spelled_digests) and bool(self.spelled_digests[place] == digest)

    def zipf_frequency(self, word: str) -> float:
        """Return the Zipf frequency: log10 of a word's count per billion words; 0 if unlisted."""
        digest = hash(word)
        place = int(self.counted_digests.searchsorted(digest))
        found = place < len(self.counted_digests) and self.counted_digests[place] == digest
        return float(self.frequencies[place]) if found else 0.0


def is_word(word: str) -> bool:
    """Return whether a dictionary or the lists of names have this lower-case word."""
    return len(word) <= MAX_WORD_LENGTH and _is_word_cached(word)


@lru_cache(maxsize=CACHED_WORDS)
def _is_word_cached(word: str) -> bool:
    return word in _NAMED_WORDS or load_lexicon().has_spelling(word)


def is_common(word: str) -> bool:
    """Return whether the word is known, or as frequent as `MIN_COMMON_FREQUENCY`."""
    return is_word(word) or zipf_frequency(word) >= MIN_COMMON_FREQUENCY


def zipf_frequency(word: str) -> float:
    """Return a lower-case word's Zipf frequency, see `Lexicon.zipf_frequency`."""
    return _zipf_frequency_cached(word) if len(word) <= MAX_WORD_LENGTH else 0.0


@lru_cache(maxsize=CACHED_WORDS)
def _zipf_frequency_cached(word: str) -> float:
    return load_lexicon().zipf_frequency(word)


@cache
def load_lexicon() -> Lexicon:
    """Load the word lists, once a process. Raises OSError and what a broken file raises."""
    written = _find_package_file("spellchecker", "resources/en.json.gz").read_bytes()
    spelled = np.sort(_hash_words(json.loads(gzip.decompress(written))))
    counted, ranks = _load_frequencies(_find_package_file("wordfreq", "data/large_en.msgpack.gz"))
    order = np.argsort(counted)
    return Lexicon(spelled, counted[order], ranks[order])


def _load_frequencies(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the hashes of all spellings and their frequencies."""
    digests, ranks = [], []
    with gzip.open(path) as file:
        unpacker = msgpack.Unpacker(file, raw=False)
        count = unpacker.read_array_header()
        unpacker.skip()  # which format it is
        # List by list: the whole would take 60 MB.
        for step in range(count - 1):
            words = unpacker.unpack()
            digests.append(_hash_words(words))
            ranks.append(
                np.full(len(words), _BILLION_EXPONENT - step / _STEPS_PER_DECADE, dtype=np.float32)
            )
    return np.concatenate(digests), np.concatenate(ranks)


def _hash_words(words: Collection[str]) -> NDArray[np.int64]:
    """Return Python's hashes of the words."""
    # They differ from process to process: nobody can choose words that collide.
    return np.fromiter(map(hash, words), dtype=np.int64, count=len(words))


def _find_package_file(package: str, path: str) -> Path:
    """Return the path of a file of a package, without importing it. Raises FileNotFoundError."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the package {package} is not installed")
    return Path(next(iter(spec.submodule_search_locations))) / path


_NAMED_WORDS = PLACE_NAMES | CALENDAR_NAMES | GIVEN_NAMES | COMMON_WORD_NAMES
