"""Parse a text for the rules: tokens in order, words, names, numbers."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from threading import Lock

from proxy.core.tenant_memory import remember_by_tenant
from proxy.core.text.languages import MAX_WORD_LENGTH, load_stemmer
from proxy.core.text.normalize import fold_text
from proxy.core.text.spaced_prose import join_punctuation
from proxy.core.verification.lexicon.american_spelling import to_american_spelling
from proxy.core.verification.lexicon.synonyms import JOINED_PHRASES, SYNONYMS

# Tokens: one form for "don't" and "do not", 2 and two, log in and login.

_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*|[$€£¥₹%]|[.!?]+\s?")
SENTENCE_BREAK = "."
_HALF_OF_DAY = re.compile(r"\b([ap])\.m\b")
_MONEY_AMOUNT = re.compile(r"([$€£¥₹])\s?(\d[\d.,:]*)")
_THOUSANDS_SEPARATOR = re.compile(r",(?=\d{3}(?!\d))")
_WORDS_TO_TWENTY = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_DIGIT_BY_WORD = {word: value for value, word in enumerate(["one", *_WORDS_TO_TWENTY[:8]], 1)}
_TENS_BY_WORD = {
    word: 10 * value
    for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
_ORDINAL_NAMES = (
    "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
_ORDINAL_BY_WORD = {word: value for value, word in enumerate(_ORDINAL_NAMES.split(), 3)}
# `one` is left out: it is a pronoun more often than a number. So are first and second, which mean
# other things too.
_NUMBER_WORDS = {word: str(value) for value, word in [(0, "zero"), *enumerate(_WORDS_TO_TWENTY, 2)]}
_NUMBER_WORDS |= {word: str(value) for word, value in (_TENS_BY_WORD | _ORDINAL_BY_WORD).items()}
_ORDINAL_SUFFIXES = frozenset("st nd rd th".split())
# What may follow the apostrophe of an English word; l'entrata and O'Brien are one word each.
_CONTRACTION_ENDINGS = frozenset(("", *"s re ve ll d m t".split()))
# Contractions as written without their apostrophe.
_NEGATED_CONTRACTIONS = frozenset(
    (
        "cannot cant dont doesnt didnt wont isnt arent wasnt werent hasnt havent hadnt couldnt "
        "shouldnt wouldnt aint"
    ).split()
)
_SHORTENED_VERBS = {"ca": "can", "wo": "will", "sha": "shall"}
JOINED_TOKENS = {
    tuple(phrase.split()): one
    for phrase, one in (
        entry.strip().split("=") for entry in JOINED_PHRASES.replace("\n", " ").split(",")
    )
}


# Words that tokens may stand for in other letters: two is 2, don't is do not, login is log in.
RESPELLED_WORDS = frozenset(
    {*_NUMBER_WORDS, *_DIGIT_BY_WORD, *_NEGATED_CONTRACTIONS}
    | {word.removesuffix("t") for word in _NEGATED_CONTRACTIONS}
    | {word for pair, one in JOINED_TOKENS.items() for word in (*pair, one)}
)


def tokenize_text(text: str) -> list[str]:
    """Split a folded text into lower-case words, numbers and signs.

    A contraction keeps its first word only, a negated one is its verb and "not"; $5 is 5 $;
    `SENTENCE_BREAK` stands between sentences.
    """
    found: list[str] = []
    before = ""
    text = _MONEY_AMOUNT.sub(r"\2 \1", _HALF_OF_DAY.sub(r"\1m", text.lower()))
    for token in _TOKEN.findall(text):
        if token[0] in ".!?":
            found.extend([SENTENCE_BREAK] if token[-1].isspace() else [])
        elif before in _TENS_BY_WORD and token in _DIGIT_BY_WORD:
            found[-1] = str(_TENS_BY_WORD[before] + _DIGIT_BY_WORD[token])
        elif token[0].isdecimal():
            found.append(_normalize_number(token))
        elif token in _NEGATED_CONTRACTIONS or token.endswith("n't"):
            found += (_expand_negated_verb(token), "not")
        elif token not in _ORDINAL_SUFFIXES or not before[:1].isdecimal():
            first, _, rest = token.partition("'")
            plain = first if rest in _CONTRACTION_ENDINGS else token
            found.append(_NUMBER_WORDS.get(plain, plain))
        before = token
    return _join_phrases(found)


def _expand_negated_verb(contraction: str) -> str:
    """Return the verb of a negated contraction: can of can't, cant and cannot."""
    if contraction == "cannot":
        return "can"
    verb = contraction.removesuffix("n't").removesuffix("nt")
    return _SHORTENED_VERBS.get(verb, verb)


def _normalize_number(digits: str) -> str:
    """Return one spelling of a number: 1,000 is 1000; 5.00 and 5:00 are 5."""
    plain = _THOUSANDS_SEPARATOR.sub("", digits)
    return plain[:-3] if plain[-3:] in {".00", ":00"} else plain


def _join_phrases(tokens: list[str]) -> list[str]:
    """Return the tokens with phrases of two words as one."""
    found: list[str] = []
    taken = False
    for pair in pairwise([*tokens, ""]):
        one = None if taken else JOINED_TOKENS.get(pair)
        if not taken:
            found.append(one or pair[0])
        taken = one is not None
    return found


# Words of many questions that none of them is about.
FILLERS = frozenset(
    (
        f"{SENTENCE_BREAK} "
        "a an the this that these those there here it its i im ive id me my mine myself we us our "
        "you your yours he him his she her they them their is am are was were be been being do "
        "does did doing done have has had having can could may might must shall should will would "
        "please kindly hi hello hey hiya dear thanks thank thx cheers sorry ok okay um umm uh er "
        "erm hmm well so just also too then now actually really need needed require required want "
        "wanna like wish tell know help let lets give get got getting gotten say wonder wondering "
        "curious try trying possible able and or but if as how what whats which who whom whose "
        "when where why quick question re s t ll ve d m some any one go going gonna make made take "
        "use using appreciate much lot exactly still unsure "
    ).split()
)
# Words that tie others together, and show which is which: from, to.
LINKS = frozenset(
    (
        "to from in on at of for with by into onto about than over under through via against "
        "before after off out up down without"
    ).split()
)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_NEVER_NAMES = frozenset(
    "i hi hello hey dear am pm pc tv ok okay please sorry thanks thank you cheers".split()
)
_SENTENCE_END = frozenset(".!?:\n")
# A stemmer of our own: it is not thread-safe, and compression uses the cached one.
_STEMMER, _STEMMER_LOCK = load_stemmer.__wrapped__("english"), Lock()


@dataclass(frozen=True, slots=True)
class ParsedText:
    """A text as the rules read it.

    `tokens`: see `tokenize_text`. `words`: each token once. `keys`: canonical words without
    fillers. `content`: keys that are no links. `names`: words written as names, lower-case.
    """

    tokens: tuple[str, ...]
    words: frozenset[str]
    keys: tuple[str, ...]
    content: frozenset[str]
    names: frozenset[str]


def parse_text(text: str) -> ParsedText:
    """Parse a text of any length and language; its words are read as English."""
    folded = fold_text(join_punctuation(text))
    return build_parsed_text(tokenize_text(folded), _collect_names(folded))


def build_parsed_text(tokens: Iterable[str], names: Iterable[str]) -> ParsedText:
    """Build the parsed text of these tokens, with these names among them."""
    tokens = tuple(tokens)
    keys = tuple(canonicalize_word(token) for token in tokens if token not in FILLERS)
    return ParsedText(tokens, frozenset(tokens), keys, frozenset(keys) - LINKS, frozenset(names))


def canonicalize_word(word: str) -> str:
    """Return what stands for a lower-case word: its stem, or that of its synonyms' first word.

    Words longer than `MAX_WORD_LENGTH` stand for themselves.
    """
    return _canonicalize_cached(word) if len(word) <= MAX_WORD_LENGTH else word


@lru_cache(maxsize=20_000)
def _canonicalize_cached(word: str) -> str:
    root = stem_word(to_american_spelling(word))
    return _CANONICAL_BY_STEM.get(root, root)


def stem_word(word: str) -> str:
    """Return the Snowball stem of a lower-case English word."""
    with _STEMMER_LOCK:
        return _STEMMER(word)


def _collect_names(text: str) -> set[str]:
    """Return the capitalised words inside sentences, lower-case."""
    if text.islower():
        return set()
    found = list(_WORD.finditer(text))
    capitalised = [match for match in found if match[0][0].isupper()]
    # All in capitals, or in Title Case, they mean nothing.
    if len(found) > 2 and len(capitalised) * 2 > len(found):
        return set()
    starts = {
        match.start()
        for before, match in pairwise(found)
        if _SENTENCE_END & set(text[before.end() : match.start()])
    }
    starts |= {found[0].start()} if found else set()
    return {
        match[0].lower().partition("'")[0] for match in capitalised if match.start() not in starts
    } - _NEVER_NAMES


# A chat repeats its turns with every request, and a question is compared with several. Parsing a
# turn of 1,000 characters takes 0.2 ms, so the time of a chat of many turns would reveal that
# another tenant sent the same: each tenant has a memo of its own.
parse_text_memoized = remember_by_tenant(1024)(parse_text)
_CANONICAL_BY_STEM = {
    stem_word(to_american_spelling(word)): stem_word(to_american_spelling(words[0]))
    for words in map(str.split, SYNONYMS.split(";"))
    for word in words
}
