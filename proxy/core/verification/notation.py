"""Parse what of a text must match exactly: code, formulas, signs, codes, units, single letters.

A text is split at blanks into pieces. A *plain* piece is a word or a number within the punctuation
of prose, any other is a *mark*. Two questions may share an answer only if their marks are equal, in
order. A text with a *formal* mark (a sign, an operator, a bracket, an emoji, or an indented line)
may be code or a formula: all of it must match, but for a few harmless differences.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from proxy.core.tenant_memory import remember_by_tenant
from proxy.core.text.languages import MAX_WORD_LENGTH
from proxy.core.text.normalize import limit_marks
from proxy.core.text.spaced_prose import join_punctuation
from proxy.core.verification.lexicon.capitals import counts_by_case
from proxy.core.verification.lexicon.word_ranks import is_common, is_word
from proxy.core.verification.parsed_text import FILLERS, canonicalize_word

# Characters of no width that come along when a text is copied; up to this many mean nothing.
INVISIBLE_CHARACTERS = re.compile("[\u00ad\u200b\u2060\ufeff]")
MAX_INVISIBLE_CHARACTERS = 3
_NON_ASCII_CHUNK = re.compile(r"(?<![!-~])[!-~]*[^\s!-~]\S*")
_HYPHENS = str.maketrans("‐‑", "--")
_PLAIN_WORD = re.compile(r"(?:[a-z]{2,}|[a-z](?=[-']))(?:[-'][a-z]+)*[?.,!:;]?", re.IGNORECASE)
_QUOTES = str.maketrans("‘’ʼ“”„‟", "'''" + '"' * 4)
_OPENING_PUNCTUATION = re.compile(r"^[(\"'«¿¡]+")
# A full stop may stand before what closes, a comma before quotes only: (1, 2,) is no prose.
_CLOSING_SIGNS = frozenset(".,:;?!…)\"'»")
_CLOSING_PUNCTUATION = re.compile(r"(?:[.?!…]*[)»]|[.,:;?!…]*[\"'])*(?:[,;:]|[.?!…]+[,;:]?)?")
MAX_CLOSING_LENGTH = 8
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*(?:[-‐‑][^\W\d_]+(?:'[^\W\d_]+)*)*")
_BACKTICKED_WORD = re.compile(r"`([A-Za-z]{2,})`([?.,!:;]?)")
_HYPHENED_LETTERS = re.compile("[A-Za-z](?:-[A-Za-z])+")
_AMOUNT = re.compile(r"[$€£¥₹]?[0-9]+(?:[.,:][0-9]+)*[%$€£¥₹]?")
_NUMBER_WITH_SUFFIX = re.compile(
    r"([0-9]+(?:[.,:][0-9]+)*)"
    r"(?:st|nd|rd|th|am|pm|h|hrs?|mins?|secs?|km|cm|kg|lbs?|ml|[kK]|(?:-[a-z]+)+)"
)
# The mid-15th century.
_HYPHENED_ORDINAL = re.compile("(?:[a-z]{2,}-)+[0-9]+(?:st|nd|rd|th)")
_URL = re.compile(r"https?://[!-~]+")
# Codes, dates, spans, models: A4, 3/15, 2016-17, B-52, 190+, Google+.
_CODE = re.compile(r"#?[0-9A-Za-z]+(?:[-'/][0-9A-Za-z]+)*\+?")
_DOTTED_NAME = re.compile(r"(?<![\w-])[\w-]+(?:\.[\w-]+)+|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_MARK_PATTERNS = (_URL, _CODE, _DOTTED_NAME)
_SLASHED_WORDS = re.compile(r"[a-z]{2,}(?:/[a-z]{2,})+", re.IGNORECASE)
_INITIALS = re.compile(r"[a-z](?:\.[a-z])+", re.IGNORECASE)
_ROMAN_NUMERAL = re.compile(r"m{0,3}(?:cm|cd|d?c{0,3})(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})")
_NOT_ROMAN_WORDS = frozenset("mi mix di dix mm cd dc md cv dm cc ml dl cm li vim civil mil".split())
# Equal in any case, as most people take no care of it.
_CASELESS_CODES = frozenset(
    "c++ c# .net node.js vue.js next.js mp3 mp4 h2o co2 covid-19 b12 a4 2d 3d 2fa ps4 ps5".split()
)
_ABBREVIATIONS = frozenset("e.g i.e a.m p.m ph.d mr mrs ms dr st vs etc approx incl no".split())
_LETTERED_NOUNS = frozenset(
    "letter letters vowel variable type class grade vitamin hepatitis option plan "
    "group level part point section column row line appendix exhibit figure table "
    "phase stage war symbol".split()
)
_UNIT_SYMBOLS = frozenset(
    "ms mg mm ml mv ma mj pa kg km cm nm gb mb kb tb hz khz mhz ghz kw".split()
)
# Signs that make another number of the one before them: 5!, 0.99...
_NUMBER_SUFFIX_SIGNS = ("!", "..", "…")
# In a text all in capitals, of this many words or more, they mean nothing.
_MIN_SHOUTED_WORDS = 3
# Letters of the longest symbol of an element, or thereabouts: No and NO are two.
_MAX_SYMBOL_LENGTH = 2
# Punctuation that some people, and some programs, separate from words.
_SPACED_PUNCTUATION = frozenset('- – — ... … , . : ; ( ) « » "'.split())
_MIN_WORD_LENGTH = 2
_WORDS_BESIDE_SIGNS = frozenset(
    "does do is are a an the of between and or in to with without like use using type "
    "called mean means what symbol sign character key operator command this press explain "
    "define describe about".split()
)
_SIGNS_AFTER_NUMBERS, _SIGNS_AFTER_ANY_WORD = frozenset(",.)%"), frozenset(",.()")
# Separate signs that end a question, then those that may also begin one.
_SPACED_SENTENCE_END = re.compile(r"[?!]+\?[?!]*|\?[?!]+|\.{3,}|…")
_ELLIPSES = ("...", "…")
# Quotes as typewriters have them.
_TYPEWRITER_QUOTES = ("``", "''")
_SMILEYS = frozenset(((":", ")"), (";", ")")))
_CURRENCIES = frozenset("$€£¥₹")
_CLAUSE_ENDINGS = frozenset(",.")
_SIGN_WORDS_AFTER = frozenset("do does mean means sign symbol operator character".split())
_WORDS_BEFORE_FINAL_SIGN = frozenset("explain define describe about type press cd".split())
_SIGN_WORDS_BEFORE = frozenset(
    (
        "does do is a an the between use using type called mean means symbol sign "
        "character key operator"
    ).split()
)
_WORD_PARTS, _LITERAL_PARTS = re.compile("[-/']"), re.compile("[-‐‑/]")
# Polite words at either end of a text are not part of its question; up to this many are dropped.
MAX_POLITE_WORDS = 3
_OPENING_POLITENESS = frozenset("please hi hello hey".split())
_CLOSING_POLITENESS = frozenset("please thanks".split())
# Words that begin a question: their case does not count even where all else is code.
_QUESTION_OPENERS = frozenset(
    "what what's how why when where which who whose is are was were do does did can "
    "could may should would will has have explain find convert write translate solve "
    "calculate compute describe name list give show tell fix debug compare evaluate "
    "simplify the i my in if for it".split()
)


@dataclass(frozen=True, slots=True)
class NotationPiece:
    """One piece as written, its core without outer punctuation, and its mark, "" if it is plain."""

    text: str
    core: str
    mark: str = ""
    is_formal: bool = False


@dataclass(frozen=True, slots=True)
class Notation:
    """What of a text must match exactly.

    `marks`: in order. `literal`: equal for equal texts. `words`: lower-case. `names`: words with a
    capital inside a sentence. `capitals`: how a lower-case word is written, of words in capitals
    and short words with a capital inside the text.
    """

    marks: tuple[str, ...]
    is_formal: bool
    literal: tuple[str, ...]
    capitals: Mapping[str, str]
    words: frozenset[str]
    names: frozenset[str]


@remember_by_tenant(512)
def parse_notation(text: str) -> Notation:
    """Parse the notation of a text in any language. Linear in the length."""
    text = _clean_text(text)
    if text.isupper() and len(text.split()) >= _MIN_SHOUTED_WORDS:
        text = text.lower()
    pieces = _split_pieces(text)
    formal = any(piece.is_formal for piece in pieces) or _is_indented(text)
    marks = tuple(piece.mark for piece in pieces if piece.mark)
    literal = _build_code_literal(text, pieces) if formal else _build_prose_literal(pieces)
    words = frozenset(part for piece in pieces for part in _split_core(piece.core, _WORD_PARTS))
    within = (piece.core for before, piece in pairwise(pieces) if not _ends_sentence(before))
    names = frozenset(
        core.lower() for core in within if core.istitle() and core.lower() not in FILLERS
    )
    return Notation(marks, formal, literal, _collect_capitals(pieces), words, names)


def _collect_capitals(pieces: list[NotationPiece]) -> dict[str, str]:
    found: dict[str, str] = {}
    for place, piece in enumerate(pieces):
        core = piece.core
        if (
            len(core) > 1
            and core.isalpha()
            and (core.isupper() or (place and len(core) <= _MAX_SYMBOL_LENGTH and core.istitle()))
        ):
            found[core.lower()] = core
    return found


def _capitals_agree(ours: Notation, theirs: Notation) -> bool:
    """Return whether no word of both texts is written with other capitals, such as NO and No."""
    return all(
        ours.capitals[word] == theirs.capitals[word]
        for word in ours.capitals.keys() & theirs.capitals.keys()
    )


def _has_unmentioned_capitals(ours: Notation, theirs: Notation) -> bool:
    """Return whether a word in capitals, a name or a keyword, is no word of the other text."""
    written = [
        word for word, form in ours.capitals.items() if form.isupper() and word not in FILLERS
    ]
    stressed = [word for word in written if is_word(word)]
    # A common word that is the only one in capitals is stressed by them.
    missing = [
        word
        for word in written
        if word not in theirs.words and (len(stressed) > 1 or word not in stressed)
    ]
    return bool(missing) and not {canonicalize_word(word) for word in missing} <= {
        canonicalize_word(word) for word in theirs.words
    }


def literally_equal(one: str, other: str) -> bool:
    """Return whether the texts are equal but for blanks, case, quotes and idle punctuation."""
    if one == other:
        return True
    ours, theirs = parse_notation(one), parse_notation(other)
    return (
        ours.literal == theirs.literal != ()
        and ours.is_formal == theirs.is_formal
        and _capitals_agree(ours, theirs)
    )


def notations_differ(one: str, other: str) -> bool:
    """Return whether what must match exactly differs, so that they must not share an answer."""
    ours, theirs = parse_notation(one), parse_notation(other)
    if (
        ours.is_formal
        or theirs.is_formal
        or ours.marks != theirs.marks
        or not _capitals_agree(ours, theirs)
    ):
        return True
    return any(
        _has_unmentioned_capitals(*both) or _adds_name(*both)
        for both in ((ours, theirs), (theirs, ours))
    )


def _adds_name(ours: Notation, theirs: Notation) -> bool:
    """Return whether one text is the other plus a name: John Adams, John Quincy Adams."""
    more = ours.words - theirs.words
    return bool(more) and theirs.words <= ours.words and more <= ours.names


def _clean_text(text: str) -> str:
    text = join_punctuation(text)
    if text.isascii():
        return text.strip()
    # With more marks on a letter, ordering them takes time quadratic in their number.
    if limit_marks(text) == text:
        text = unicodedata.normalize("NFC", text)
    if len(INVISIBLE_CHARACTERS.findall(text)) <= MAX_INVISIBLE_CHARACTERS:
        text = INVISIBLE_CHARACTERS.sub("", text)
    return _NON_ASCII_CHUNK.sub(_normalize_word, text).strip()


def _normalize_word(chunk: re.Match[str]) -> str:
    """Return a word with wide letters, ligatures or other hyphens as it is mostly written.

    Anything else is returned unchanged.
    """
    if not 1 < sum(map(str.isalpha, chunk[0])) <= MAX_WORD_LENGTH:
        return chunk[0]
    found = unicodedata.normalize("NFKC", chunk[0]).translate(_HYPHENS)
    return found if _PLAIN_WORD.fullmatch(found) else chunk[0]


def _is_indented(text: str) -> bool:
    """Return whether a line begins with a blank, the first one aside."""
    # What an indented line depends on shows in nothing else.
    return any(line[:1].isspace() and line.strip() for line in text.splitlines()[1:])


def _split_pieces(text: str) -> list[NotationPiece]:
    chunks = text.split()
    plain = {
        chunk: _classify_cached(chunk) if len(chunk) <= MAX_WORD_LENGTH else _classify_chunk(chunk)
        for chunk in dict.fromkeys(chunks)
    }
    found: list[NotationPiece] = []
    before = ""  # the core that stands before, prose's own signs left out
    for place, chunk in enumerate(chunks):
        piece = plain[chunk]
        if chunk in _ELLIPSES and found and found[-1].core and _ends_clause(found[-1].text):
            piece = NotationPiece(chunk, "")  # between two sentences
        elif not piece.core:
            piece = _classify_sign(
                chunk, before, chunks[place + 1] if place + 1 < len(chunks) else ""
            )
        elif not piece.mark and _is_symbol_after(
            piece.core, before, begun=bool(found) and not _ends_clause(found[-1].text)
        ):
            piece = NotationPiece(chunk, piece.core, piece.core)
        found.append(piece)
        before = piece.core.lower() if piece.core or piece.is_formal else before
    return found


def _is_symbol_after(core: str, before: str, *, begun: bool) -> bool:
    """Return whether what stands before makes a word a symbol: the letter I, hepatitis A, 5 Mg."""
    if len(core) == 1:
        return core.isalpha() and ((core == "A" and begun) or before in _LETTERED_NOUNS)
    return before[-1:].isdigit() and core.lower() in _UNIT_SYMBOLS and not core.islower()


def _ends_sentence(piece: NotationPiece) -> bool:
    """Return whether a sentence ends here, so that a capital after it means nothing."""
    # The full stop of an initial, or of Mr., ends none.
    return _ends_clause(piece.text) and (
        piece.text[-1] != "." or (len(piece.core) > 1 and piece.core.lower() not in _ABBREVIATIONS)
    )


def _ends_clause(chunk: str) -> bool:
    return chunk[-1] in ".!?:"


def _split_core(core: str, signs: re.Pattern[str]) -> list[str]:
    """Return the lower-case parts of a piece's core between these signs."""
    lower = core.lower()
    return [lower] if lower.isalnum() else signs.split(lower)


def _classify_chunk(chunk: str) -> NotationPiece:
    """Classify one piece by itself.

    Punctuation alone gets no core: it depends on what stands before (`_classify_sign`).
    """
    if not any(map(str.isalnum, chunk)):
        return NotationPiece(chunk, "")
    plain = chunk.translate(_QUOTES)
    if quoted := _BACKTICKED_WORD.fullmatch(plain):
        plain = quoted[1] + quoted[2]
    start = _OPENING_PUNCTUATION.match(plain)
    core = plain[start.end() :] if start else plain
    core, tail = _split_closing_signs(core)
    if core.endswith("'s") and not _WORD.fullmatch(core):
        core = core[:-2]
    if tail and (len(tail) > MAX_CLOSING_LENGTH or not _CLOSING_PUNCTUATION.fullmatch(tail)):
        return NotationPiece(chunk, core, chunk, is_formal=True)
    if _WORD.fullmatch(core):
        return _classify_word(chunk, core, tail)
    feet = tail.startswith(("'", '"')) and not start and core[-1].isdigit()
    if feet or (tail.startswith(_NUMBER_SUFFIX_SIGNS) and not core[-1].isalpha()):
        return NotationPiece(chunk, core, plain, is_formal=True)  # 5! is no 5
    if (
        _AMOUNT.fullmatch(core)
        or _NUMBER_WITH_SUFFIX.fullmatch(core)
        or _HYPHENED_ORDINAL.fullmatch(core)
    ):
        return NotationPiece(chunk, core)
    return _classify_nonword(chunk, core)


_classify_cached = lru_cache(maxsize=20_000)(_classify_chunk)


def _split_closing_signs(core: str) -> tuple[str, str]:
    end = len(core)
    while end and core[end - 1] in _CLOSING_SIGNS:
        end -= 1
    return core[:end], core[end:]


def _classify_word(chunk: str, core: str, tail: str) -> NotationPiece:
    lower = core.lower()
    if chunk in ("'s", "’s"):  # cut off from its word
        return NotationPiece(chunk, core)
    if not core.isascii():
        return NotationPiece(
            chunk, core, lower if len(core) > 1 else core, is_formal=_mixes_scripts(core)
        )
    if len(core) == 1 and (core not in "aAiI" or chunk[0] in "'\"‘“"):
        return NotationPiece(chunk, core, core + "!" * ("!" in tail), is_formal="!" in tail)
    if _HYPHENED_LETTERS.fullmatch(core):
        return NotationPiece(chunk, core, core)
    if len(core) > 1 and lower not in _NOT_ROMAN_WORDS and _ROMAN_NUMERAL.fullmatch(lower):
        return NotationPiece(chunk, core, lower.upper())
    return NotationPiece(chunk, core, core if counts_by_case(core) else "")


def _mixes_scripts(word: str) -> bool:
    """Return whether a word has letters of two scripts, one of them for its looks."""
    scripts = {
        unicodedata.name(letter, "").partition(" ")[0] for letter in word if letter.isalpha()
    }
    return len(scripts & {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"}) > 1


def _classify_nonword(chunk: str, core: str) -> NotationPiece:
    """Classify what is neither a word nor a number: plain, a mark, or a formal mark."""
    lower = core.lower()
    if lower in _ABBREVIATIONS or (
        _SLASHED_WORDS.fullmatch(core) and all(map(is_common, lower.split("/")))
    ):
        return NotationPiece(chunk, core)
    if _INITIALS.fullmatch(core):
        name = core.replace(".", "").upper()
        return NotationPiece(chunk, name, name)
    if lower in _CASELESS_CODES or "@" in core[1:]:
        core = lower
    known = core in _CASELESS_CODES or any(kind.fullmatch(core) for kind in _MARK_PATTERNS)
    return (
        NotationPiece(chunk, core, core)
        if known
        else NotationPiece(chunk, core, chunk, is_formal=True)
    )


def _classify_sign(chunk: str, before: str, after: str) -> NotationPiece:
    """Classify separate punctuation: of prose after a word that is not about signs, else a sign."""
    chunk = chunk if after else chunk.rstrip("\"»”'") or chunk
    if chunk in _CURRENCIES and after[:1].isdigit():
        return NotationPiece(chunk, chunk, chunk)
    number = _AMOUNT.fullmatch(before) is not None
    word = _WORD.fullmatch(before) is not None and len(before) >= _MIN_WORD_LENGTH
    word = word and before not in (
        _SIGN_WORDS_BEFORE if chunk in _CLAUSE_ENDINGS else _WORDS_BESIDE_SIGNS
    )
    word = word and after.lower().rstrip("?.!,") not in _SIGN_WORDS_AFTER
    if (chunk, after) in _SMILEYS:
        return NotationPiece(chunk, "", chunk, is_formal=True)
    if chunk == "--" and (word or (number and after[:1].isdigit())):
        return NotationPiece(chunk, "", chunk)
    if chunk == "&" and word and after[:1].isalpha():
        return NotationPiece(chunk, "and")
    return (
        NotationPiece(chunk, "")
        if _is_prose_sign(chunk, before, after, word, number)
        else NotationPiece(chunk, "", chunk, is_formal=True)
    )


def _is_prose_sign(chunk: str, before: str, after: str, word: bool, number: bool) -> bool:
    """Return whether separate punctuation belongs to prose.

    `word`, `number`: whether one that is not about signs stands before it.
    """
    if chunk in _TYPEWRITER_QUOTES or (chunk == "'" and before[-1:] == "s"):
        return True
    if not before:
        return chunk in _ELLIPSES and after.lstrip("'")[:1].isalpha()
    if word and not after[:1].islower() and _SPACED_SENTENCE_END.fullmatch(chunk):
        return True
    if (
        not after
        and chunk in (".", ":")
        and before not in _SIGN_WORDS_BEFORE
        and before not in _WORDS_BEFORE_FINAL_SIGN
    ):
        return True
    if chunk == "?":
        return (word and not after[:1].islower()) or (
            number and not after[:1].islower() and not after[:1].isdigit()
        )
    apart = len(before) > 1 and before not in _WORDS_BESIDE_SIGNS and chunk in _SIGNS_AFTER_ANY_WORD
    return (
        apart
        or (word and chunk in _SPACED_PUNCTUATION)
        or (number and chunk in _SIGNS_AFTER_NUMBERS)
    )


def _build_prose_literal(pieces: list[NotationPiece]) -> tuple[str, ...]:
    """Return words and numbers in order; case counts in marks alone."""
    found: list[str] = []
    for piece in pieces:
        if piece.mark:
            found.append(piece.mark)
        elif piece.core:
            found.extend(_split_core(piece.core, _LITERAL_PARTS))
    return tuple(found)


def _build_code_literal(text: str, pieces: list[NotationPiece]) -> tuple[str, ...]:
    """Return the text as written, without politeness at its ends and what ends a sentence.

    A question's first words are lower-cased.
    """
    kept = _strip_politeness(pieces)
    last = _strip_sentence_end(kept)
    if len(text.splitlines()) > 1 or re.search(r"[`\"'“‘]", text):
        rest = _cut_after_first_piece(text, pieces, kept)
        return (
            *_lower_opening_words(kept[:1]),
            rest[: len(rest) - len(kept[-1].text)] + last if len(kept) > 1 else "",
        )
    return (*_lower_opening_words(kept[:-1]), last) if len(kept) > 1 else (last,)


def _strip_sentence_end(pieces: list[NotationPiece]) -> str:
    """Return the last piece's text without what ends a sentence, if that is no part of it."""
    last = pieces[-1]
    if not last.is_formal and last.core[-1:].isalnum():
        return last.core
    asked = len(pieces) > 1 and pieces[0].core.lower() in _QUESTION_OPENERS and last.text[-1] == "?"
    return (
        last.text[:-1]
        if asked and (last.text[-2:-1].isalnum() or last.text[-2:-1] in set(")}]`\"'"))
        else last.text
    )


def _strip_politeness(pieces: list[NotationPiece]) -> list[NotationPiece]:
    first, last = 0, len(pieces)
    while (
        first < min(last - 1, MAX_POLITE_WORDS)
        and not pieces[first].is_formal
        and pieces[first].core.lower() in _OPENING_POLITENESS
    ):
        first += 1
    while (
        last > max(first + 1, len(pieces) - MAX_POLITE_WORDS)
        and not pieces[last - 1].is_formal
        and pieces[last - 1].core.lower() in _CLOSING_POLITENESS
    ):
        last -= 1
    return pieces[first:last]


def _lower_opening_words(pieces: list[NotationPiece]) -> list[str]:
    """Return the pieces' texts, words that begin questions lower-cased up to the first mark."""
    found: list[str] = []
    opening = bool(pieces) and pieces[0].core.lower() in _QUESTION_OPENERS
    for piece in pieces:
        opening = opening and not piece.mark
        found.append(
            piece.text.lower()
            if opening and piece.core.lower() in _QUESTION_OPENERS
            else piece.text
        )
    return found


def _cut_after_first_piece(
    text: str, pieces: list[NotationPiece], kept: list[NotationPiece]
) -> str:
    """Return the text from after the first kept piece to the end of the last, blanks and all."""
    skipped = next((place for place, piece in enumerate(pieces) if piece is kept[0]), 0)
    for piece in pieces[: skipped + 1]:
        text = text[text.index(piece.text) + len(piece.text) :]
    for piece in reversed(pieces[skipped + len(kept) :]):
        text = text[: text.rindex(piece.text)].rstrip()
    return text
