"""Split a text into terms for ranking: lower-cased, without stop words, stemmed.

Stop words are sumy's lists, read as files (importing sumy imports nltk and requests too); stemmers
are PyStemmer's (Snowball), in C. A language that lacks one of them does without it.
"""

import re
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.resources import files

# Languages of PyStemmer's stemmers and sumy's stop words; a test compares them with both packages.
STEMMER_LANGUAGES = (
    *(
        "arabic",
        "armenian",
        "basque",
        "catalan",
        "czech",
        "danish",
        "dutch",
        "english",
        "esperanto",
        "estonian",
        "finnish",
        "french",
    ),
    *(
        "german",
        "greek",
        "hindi",
        "hungarian",
        "indonesian",
        "irish",
        "italian",
        "lithuanian",
        "nepali",
        "norwegian",
        "persian",
    ),
    *(
        "polish",
        "portuguese",
        "romanian",
        "russian",
        "serbian",
        "sesotho",
        "spanish",
        "swedish",
        "tamil",
        "turkish",
        "yiddish",
    ),
)
STOP_WORD_LANGUAGES = (
    *(
        "arabic",
        "chinese",
        "czech",
        "english",
        "french",
        "german",
        "greek",
        "hebrew",
        "italian",
        "japanese",
        "korean",
        "polish",
    ),
    *("portuguese", "slovak", "spanish", "swedish", "thai", "ukrainian"),
)
LANGUAGES = tuple(sorted({*STEMMER_LANGUAGES, *STOP_WORD_LANGUAGES}))

# Scripts written without spaces (Thai, kana, Han) are cut into pairs of neighbouring characters, as
# Lucene's CJKBigramFilter does.
_UNSPACED = "\u0e00-\u0e7f\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+(?:['’][^\W{_UNSPACED}]+)*")
_UNSPACED_START = re.compile(rf"[{_UNSPACED}]")

# Splits ASCII text without a regular expression: what is no word becomes a space.
_ASCII_TO_WORDS = bytes(
    ord(chr(c).lower()) if chr(c).isalnum() or chr(c) in "_'" else 32 for c in range(128)
) + bytes(128)

# Bytes of a term's number.
TERM_BYTES = 8
# Words per language whose stems are cached, 9 MB when full; longer ones are no words.
MAX_WORDS = 50_000
MAX_WORD_LENGTH = 64


@lru_cache(maxsize=32)
def load_stop_words(language: str) -> frozenset[str]:
    """Return sumy's stop words of the language, lower-case; empty if it has none."""
    if language not in STOP_WORD_LANGUAGES:
        return frozenset()
    text = (files("sumy") / "data" / "stopwords" / f"{language}.txt").read_text(encoding="utf-8")
    return frozenset(line.strip().lower() for line in text.splitlines() if line.strip())


@lru_cache(maxsize=32)
def load_stemmer(language: str) -> Callable[[str], str]:
    """Return the function from word to stem. Not safe to share between threads."""
    # Slovak takes Czech's, as in sumy.
    name = "czech" if language == "slovak" else language
    if name not in STEMMER_LANGUAGES:
        return str
    from Stemmer import Stemmer

    # Without its cache: that holds 10,000 words however long they are, and `Lexicon` has its own.
    stem: Callable[[str], str] = Stemmer(name, 0).stemWord
    return stem


def split_words(text: str) -> list[str]:
    """Split a text into lower-case words; numbers are words, "don't" is one."""
    spaced = _WORD.findall(text.lower().replace("’", "'"))
    if text.isascii() or not _UNSPACED_START.search(text):
        return spaced
    found: list[str] = []
    for word in spaced:
        if len(word) > 2 and _UNSPACED_START.match(word):
            found.extend(word[i : i + 2] for i in range(len(word) - 1))
        else:
            found.append(word)
    return found


def terms(text: str, language: str) -> list[str]:
    """Return the stems of the words that are not stop words, in order, with repeats.

    Raises ValueError for a language outside `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}")
    stop, stem = load_stop_words(language), load_stemmer(language)
    return [stem(word) for word in split_words(text) if word not in stop]


class Lexicon(dict[bytes, bytes]):
    """The number of a word's stem by the encoded word; empty for a stop word. Filled on demand."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self._stop_words, self._stem = load_stop_words(language), load_stemmer(language)

    def __missing__(self, word: bytes) -> bytes:
        text = word.decode().strip("'")
        number = (
            b""
            if not text or text in self._stop_words
            else hash(self._stem(text)).to_bytes(TERM_BYTES, sys.byteorder, signed=True)
        )
        if len(word) <= MAX_WORD_LENGTH:
            if len(self) >= MAX_WORDS:
                # A stem's number is its hash, so it is the same afterwards.
                self.clear()
            self[word] = number
        return number


@lru_cache(maxsize=4)
def _get_lexicon(language: str) -> Lexicon:
    return Lexicon(language)


def number_terms(text: str, spans: Iterable[tuple[int, int]], language: str) -> list[bytes]:
    """Return each span's terms as numbers of `TERM_BYTES` bytes. Not thread-safe.

    Equal stems have equal numbers within this process. Raises ValueError as `terms` does.
    """
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}")
    number = _get_lexicon(language).__getitem__
    if text.isascii():
        plain = _fold_ascii(text)
        return [b"".join(map(number, plain[start:end].split())) for start, end in spans]
    return [b"".join(map(number, _split_encoded(text[start:end]))) for start, end in spans]


def _split_encoded(text: str) -> list[bytes]:
    return (
        _fold_ascii(text).split()
        if text.isascii()
        else [word.encode() for word in split_words(text)]
    )


def _fold_ascii(text: str) -> bytes:
    """Return ASCII text with everything but lower-case words replaced by spaces."""
    # Apostrophes inside a word belong to it: others stand in twos or at an end, where the lexicon
    # strips them.
    return text.encode().translate(_ASCII_TO_WORDS).replace(b"''", b"  ")
