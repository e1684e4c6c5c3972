"""Words of a sentence for ranking: cut, lower-cased, without stop words, stemmed.

Stop words are sumy's lists, read as files (importing sumy brings nltk and requests along); stemmers are PyStemmer's (Snowball), in C.
A language without the one or the other goes without it.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files

# What PyStemmer stems and sumy has stop words for; a test compares this with both packages.
STEMMED = (
    *("arabic", "armenian", "basque", "catalan", "czech", "danish", "dutch", "english", "esperanto", "estonian", "finnish", "french"),
    *("german", "greek", "hindi", "hungarian", "indonesian", "irish", "italian", "lithuanian", "nepali", "norwegian", "persian"),
    *("polish", "portuguese", "romanian", "russian", "serbian", "sesotho", "spanish", "swedish", "tamil", "turkish", "yiddish"),
)
STOPPED = (
    *("arabic", "chinese", "czech", "english", "french", "german", "greek", "hebrew", "italian", "japanese", "korean", "polish"),
    *("portuguese", "slovak", "spanish", "swedish", "thai", "ukrainian"),
)
LANGUAGES = tuple(sorted({*STEMMED, *STOPPED}))

# Scripts written without spaces (Thai, kana, Han) are cut into pairs of neighbouring characters, as Lucene's CJKBigramFilter does.
_UNSPACED = "\u0e00-\u0e7f\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+(?:['’][^\W{_UNSPACED}]+)*")
_UNSPACED_START = re.compile(rf"[{_UNSPACED}]")


@lru_cache(maxsize=32)
def stop_words(language: str) -> frozenset[str]:
    """sumy's list for the language, lower-case; empty where it has none."""
    if language not in STOPPED:
        return frozenset()
    text = (files("sumy") / "data" / "stopwords" / f"{language}.txt").read_text(encoding="utf-8")
    return frozenset(line.strip().lower() for line in text.splitlines() if line.strip())


@lru_cache(maxsize=32)
def stemmer(language: str) -> Callable[[str], str]:
    """Word to stem. Slovak takes Czech's, as in sumy. The object keeps a cache and is not safe to share between threads."""
    name = "czech" if language == "slovak" else language
    if name not in STEMMED:
        return str
    from Stemmer import Stemmer

    stem: Callable[[str], str] = Stemmer(name).stemWord
    return stem


def words(text: str) -> list[str]:
    """The words of a text, lower-case; numbers are words, "don't" is one."""
    found: list[str] = []
    for word in _WORD.findall(text.lower().replace("’", "'")):
        if len(word) > 2 and _UNSPACED_START.match(word):
            found.extend(word[i : i + 2] for i in range(len(word) - 1))
        else:
            found.append(word)
    return found


def terms(text: str, language: str) -> list[str]:
    """What an engine compares: stems of the words that are not stop words, in order, with repeats. Raises ValueError for a language
    outside LANGUAGES."""
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}")
    stop, stem = stop_words(language), stemmer(language)
    return [stem(word) for word in words(text) if word not in stop]
