"""Tell questions apart in languages besides English, where a model of the operator's own decides.

Only what needs no dictionary: signs, numbers, negations, the same words in another order, and a
word or two in the place of others. All else is left to the model, which must know the language.
"""

import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Final

from proxy.core.text.language_detection import find_language
from proxy.core.text.normalize import fold_text
from proxy.core.text.plain_words import fold_to_plain
from proxy.core.verification.notation import literally_equal, notations_differ
from proxy.core.verification.parsed_text import parse_text_memoized
from proxy.core.verification.rules.numbers import measures_differ, numbers_differ

# Words that negate, or a part of them, as `fold_to_plain` writes them.
_NEGATIONS: Final = {
    "es": "no nunca jamas tampoco ni sin nadie nada ningun ninguna ninguno",
    "fr": "ne n pas jamais sans aucun aucune personne rien ni non",
    "pt": "nao nunca jamais sem nem nenhum nenhuma ninguem nada",
    "de": "nicht nichts kein keine keinen keinem keiner nie niemals ohne niemand",
    "it": "non mai senza nessun nessuno nessuna niente nulla ne no",
    "tr": "degil yok hicbir olmadan hic asla",
    "pl": "nie bez nigdy nikt nic zaden zadna zadne ani",
    "nl": "niet geen nooit zonder niemand niets",
    "id": "tidak bukan tanpa belum jangan tak tiada",
    "ru": "не нет без никогда ничего никто нельзя ни",
    "ar": "لا لم لن ليس ليست بدون غير دون",
    "ur": "نہیں نہ بغیر مت بنا",
    "hi": "नहीं न बिना मत ना",
    "bn": "না নেই নয় ছাড়া নি",
}
_NEGATING_WORDS: Final = {
    language: frozenset(fold_to_plain(words).split()) for language, words in _NEGATIONS.items()
}
# In these no blank stands between words.
_NEGATING_PARTS: Final = {
    "zh": re.compile("不|没|沒|未|无|無|别|非"),
    "ja": re.compile("ない|なく|ません|無|不|ず"),
    "ko": re.compile("않|없|못|안 |아니|말고"),
}
# The suffixes of Turkish verbs.
_TURKISH_NEGATION: Final = re.compile("m[aeiu](?:z|m|y|d|k|l|s|yor|den|dan)")
_WORD: Final = re.compile("[\\w\u0900-\u0963\u0980-\u09e3]+")
_FOREIGN_LETTERS: Final = re.compile(
    "[^\\W\\d_\u0000-\u007f][^\\W\\d_]*[\u0900-\u0963\u0980-\u09e3]*"
)
_FOREIGN_STOPS: Final = str.maketrans("。、؟،।॥؛", ".,?,..;")
# A difference no longer than these is most often another thing: enter, leave; on, off.
_MAX_EXCHANGED_WORDS: Final = 2
_MAX_EXCHANGED_CHARACTERS: Final = 3


def explain_foreign_difference(asked: str, stored: str) -> str | None:
    """Return why two questions of one language have different answers, or None. Symmetric."""
    if literally_equal(asked, stored):
        return None
    one, other = parse_text_memoized(asked), parse_text_memoized(stored)
    checks: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("signs", lambda: notations_differ(_mask_letters(asked), _mask_letters(stored))),
        ("numbers", lambda: numbers_differ(one, other)),
        ("units", lambda: measures_differ(one, other)),
        ("negation", lambda: _is_negated(asked) != _is_negated(stored)),
    )
    found = next((name for name, differs in checks if differs()), None)
    return found or _compare_words(asked, stored)


def _compare_words(asked: str, stored: str) -> str | None:
    """Return `order` or `exchanged` where that tells the texts apart, or None."""
    # With their accents: masse and maße, kat and kąt.
    ours, theirs = (_WORD.findall(fold_text(text).lower()) for text in (asked, stored))
    most = _MAX_EXCHANGED_WORDS
    if find_language(asked) in _NEGATING_PARTS:
        ours, theirs, most = list("".join(ours)), list("".join(theirs)), _MAX_EXCHANGED_CHARACTERS
    if ours != theirs and sorted(ours) == sorted(theirs):
        return "order"
    return "exchanged" if _is_run_exchanged(ours, theirs, most) else None


def _mask_letters(text: str) -> str:
    """Write words of other scripts as plain words: their letters are no signs."""
    folded = fold_to_plain(text).translate(_FOREIGN_STOPS)
    return _FOREIGN_LETTERS.sub("word", folded)


def _is_negated(text: str) -> bool:
    language, plain = find_language(text), fold_to_plain(text)
    if part := _NEGATING_PARTS.get(language or ""):
        return part.search(plain) is not None
    words = _WORD.findall(plain)
    if not _NEGATING_WORDS.get(language or "", frozenset()).isdisjoint(words):
        return True
    return language == "tr" and any(_TURKISH_NEGATION.search(word, 2) for word in words)


def _is_run_exchanged(ours: Sequence[str], theirs: Sequence[str], most: int) -> bool:
    """Return whether the texts are equal but for a run of at most `most` words or characters."""
    begin = _count_common(ours, theirs)
    end = _count_common(ours[begin:][::-1], theirs[begin:][::-1])
    return 0 < max(len(ours), len(theirs)) - begin - end <= most


def _count_common(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Count the words or characters at the beginning of both."""
    pairs = zip(ours, theirs, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
