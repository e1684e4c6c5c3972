"""Rejoin punctuation that corpora and speech programs set apart from the words of prose.

Known are the styles of the Penn Treebank (`` '' -LRB- do n't the dog 's), of Moses and of WikiText
(@-@ &apos;). Conservative: a text with a sign that prose lacks, or about signs, is left unchanged,
since there a separate sign may be one of its own.
"""

import re

from proxy.core.tenant_memory import remember_by_tenant

_CLITICS = frozenset("n't 's 'm 've 're 'll 'd".split())
_JOINTS = {"@-@": "-", "@,@": ",", "@.@": "."}
_ESCAPED_SIGNS = {"-lrb-": "(", "-rrb-": ")", "&quot;": '"', "&apos;": "'", "``": '"', "''": '"'}
_SURE_SIGNS = (_CLITICS | _JOINTS.keys() | _ESCAPED_SIGNS.keys()) - {"'d", "''"}
_CLOSING, _OPENING = frozenset(", . ; : ? ! ) » ”".split()), frozenset("( « “".split())
_DASHES = frozenset("- – — --".split())
_APART_SIGNS = _CLOSING | _DASHES | {"/"}
# From this many words on, one separate mark is evidence enough; below, this many marks and words.
_LONG_PROSE_WORDS, _MIN_SHORT_MARKS, _MIN_SHORT_WORDS = 10, 2, 5
# No prose: code, formulas, options of commands.
_NO_PROSE = re.compile(
    r"[=+*<>{}\[\]\\|^~#_$]|(?<![`\w])`(?!`)|(?:^|\s)(?:-(?!lrb-|rrb-)\w|--\w)", re.IGNORECASE
)
# Words about signs, or about where signs are code; then those next to which a sign may be asked
# about.
_SIGN_TOPIC_WORDS = frozenset(
    "operator operators sign signs symbol symbols character characters regex regexp bash "
    "shell syntax python sql javascript java latex code command commands punctuation comma "
    "commas colon colons semicolon hyphen hyphens dash dashes slash slashes quote quotes "
    "bracket brackets parenthesis parentheses apostrophe dot period token tokens key keys "
    "formula equation git docker npm pip sudo grep ls cd linux terminal programming emoji "
    "smiley minus plus divided".split()
)
_WORDS_BEFORE_SIGNS = frozenset(
    (
        "does do did a an the of between with without use using type called mean means put write "
        "add insert press and or in to is are"
    ).split()
)
_SENTENCE_END_WORDS = frozenset("is are in to with without".split())
_WORDS_AFTER_SIGNS = frozenset("do does did mean means".split())
_WORD, _YEAR = re.compile(r"[^\W\d_]{2,}(?:['-][^\W\d_]+)*\.?"), re.compile("[12][0-9]{3}")
_NTH = re.compile("[0-9]+(?:st|nd|rd|th)")
# Spans of years, and models: 1996-2001, F-16.
_HYPHENED = ((_YEAR, _YEAR), (re.compile("[A-Z][A-Za-z]{0,2}"), re.compile("[0-9]{1,4}[A-Z]?")))


@remember_by_tenant(512)
def join_punctuation(text: str) -> str:
    """Return prose with its punctuation rejoined, any other text unchanged. Linear."""
    chunks = text.split()
    if not any(
        chunk.lower() in _SURE_SIGNS or chunk in _APART_SIGNS for chunk in chunks
    ) or not _is_prose(text, chunks):
        return text
    return _join_chunks([_ESCAPED_SIGNS.get(chunk.lower(), chunk) for chunk in chunks])


def _is_prose(text: str, chunks: list[str]) -> bool:
    """Return whether it is prose with separate punctuation, and no sign in it is one of its own."""
    words = [chunk for chunk in chunks if _WORD.fullmatch(chunk)]
    if (
        "\n" in text.strip()
        or _NO_PROSE.search(text)
        or any(word.lower() in _SIGN_TOPIC_WORDS for word in words)
    ):
        return False
    apart = 0
    for before, chunk, after in zip(("", *chunks), chunks, (*chunks[1:], ""), strict=False):
        if chunk not in _APART_SIGNS:
            continue
        if (
            chunk == "."
            and not after
            and len(words) >= _LONG_PROSE_WORDS
            and before in _SENTENCE_END_WORDS
        ):
            continue
        if (chunk == "/" and (before, after) == ("and", "or")) or (
            chunk == ":" and before in ("is", "are") and after.istitle()
        ):
            continue
        if _is_quote(before) and _is_quote(after):
            return False  # a sign that is quoted is what is asked about
        if (
            not before
            or before.lower() in _WORDS_BEFORE_SIGNS
            or after.lower() in _WORDS_AFTER_SIGNS
            or (chunk == "." and after[:1].islower())
        ):
            return False
        apart += 1
    enough = (
        apart >= 1
        if len(words) >= _LONG_PROSE_WORDS
        else apart >= _MIN_SHORT_MARKS and len(words) >= _MIN_SHORT_WORDS
    )
    return enough or any(chunk.lower() in _SURE_SIGNS for chunk in chunks)


def _is_quote(chunk: str) -> bool:
    return chunk in ("'", '"', "“", "”") or _ESCAPED_SIGNS.get(chunk.lower()) in ("'", '"')


def _join_chunks(chunks: list[str]) -> str:
    """Join the chunks, with blanks where people write them."""
    # Separate quotes say nothing in prose, and which of them open is unknown.
    chunks = [chunk for chunk in chunks if chunk != '"']
    found: list[str] = []
    glued = True  # whether the next chunk hangs on the last
    for before, chunk, after in zip(("", *chunks), chunks, (*chunks[1:], ""), strict=False):
        hangs = _is_attached(chunk, before, after)
        if not (glued or hangs):
            found.append(" ")
        joint = chunk in _JOINTS or (
            hangs
            and (
                chunk in _DASHES
                or chunk == "/"
                or _is_time_colon(chunk, before, after)
                or _is_name_apostrophe(chunk, before, after)
            )
        )
        found.append(
            _JOINTS.get(
                chunk, "-" if chunk in _DASHES and (joint or not after[:1].isdigit()) else chunk
            )
        )
        glued = chunk in _OPENING or joint
    return "".join(found)


def _is_attached(chunk: str, before: str, after: str) -> bool:
    """Return whether the chunk belongs to the one before it, without a blank."""
    if chunk in _JOINTS or (chunk.lower() in _CLITICS and before[-1:].isalnum()):
        return True
    if chunk in _DASHES or chunk == "/":
        words = _WORD.fullmatch(before) and (_WORD.fullmatch(after) or _NTH.fullmatch(after))
        return bool(
            words
            or (
                chunk != "/"
                and any(
                    one.fullmatch(before) and other.fullmatch(after) for one, other in _HYPHENED
                )
            )
        )
    if chunk == "'":
        return before[-1:] == "s" or _is_name_apostrophe(chunk, before, after)
    if chunk == "%":
        return before[-1:].isdigit()
    return chunk in _CLOSING and not (
        chunk in ".," and before[-1:].isdigit() and after[:1].isdigit()
    )


def _is_time_colon(chunk: str, before: str, after: str) -> bool:
    """Return whether it is the colon of 9 : 55, or of a score."""
    return chunk == ":" and before[-1:].isdigit() and after[:1].isdigit()


def _is_name_apostrophe(chunk: str, before: str, after: str) -> bool:
    """Return whether it is the apostrophe of O ' Brien."""
    return chunk == "'" and before in ("O", "D") and after[:1].isupper()
