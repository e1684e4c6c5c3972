"""Read a chat for comparison: its sentences without small talk, as vectors and digests of words."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import msgpack
import numpy as np
from numpy.typing import NDArray

from proxy.core.formats.chat_completions import extract_text
from proxy.core.text.normalize import fold_text
from proxy.core.types import Message
from proxy.core.verification.english import is_english
from proxy.core.verification.notation import Notation, parse_notation
from proxy.core.verification.parsed_text import (
    FILLERS,
    LINKS,
    ParsedText,
    canonicalize_word,
    parse_text_memoized,
    tokenize_text,
)
from proxy.core.verification.rules.names import contains_known_name
from proxy.core.verification.rules.negation import has_odd_negations
from proxy.core.verification.rules.numbers import AMBIGUOUS_NUMBER_WORDS
from proxy.core.verification.small_talk import is_small_talk

Vectors = NDArray[np.float32]
EmbedTexts = Callable[[Sequence[str]], Vectors]

# Sentences of one chat before its question; a chat with more is not read. Each is some 200 bytes of
# an entry.
MAX_SENTENCES = 240
# What is known of a word, and of a sentence.
CONTENT, NUMBER, NAME, LOOSE_NUMBER, CLAUSE = 1, 2, 4, 8, 16  # CLAUSE: it begins one
REPLY, NEGATED, FORMAL, FOREIGN, INSTRUCTS, AFFIRMS, DENIES, ASKS, ANSWERS, CORRECTS = (
    1 << bit for bit in range(10)
)
_DAY_HALVES = ("am", "pm")
# Said or not, a sentence says the same; yes and no are compared as flags.
_IDLE_WORDS = frozenset(
    "ah aw oh ooh ha haha hah lol though although anyway btw tbh honestly basically certainly "
    "indeed very quite afraid yes yeah yep yup".split()
)
# The same, where they begin a sentence, before a comma.
_IDLE_OPENERS = frozenset(
    "great sure fine cool perfect lovely right good nice super brilliant excellent wonderful "
    "alright".split()
)
# A stored vector has a byte for each dimension.
_VECTOR_SCALE = 127

# As in prose, but for the full stop in 4.5 or example.org.
_SENTENCE = re.compile(r"[^.!?\n]*+(?:[.!?]++(?=[^\s.!?])[^.!?\n]*+)*+[.!?]*+\s*+")
# Settings > Privacy is prose.
_MENU_PATH = re.compile(r"(?<=[\w'’]) > (?=[A-Z])")
# What may tell the model how to answer later.
_INSTRUCTION = re.compile(
    r"\b(answers?|answering|repl(y|ies)|respond|pretend|act (as|like)|imagine|role|from now|"
    r"henceforth|translate|ignore|instructions?|remember|suppose|assume|bullets?|json|concise|"
    r"(always|never|only|just|please) (say|use|write|speak|call|mention|end|begin|start|add)|"
    r"keep (it|your|them|everything)|be (brief|short|formal)|mode (on|off)|rules?|language|"
    r"english|french|german|spanish|italian|chinese|whatever i|(anyone|anybody|someone) asks|"
    r"to everything|every (question|message|reader))\b|^\W*(say|/\w)",
    re.IGNORECASE,
)
# What may take back or change something said before.
_CORRECTION = re.compile(
    r"\b(actually|instead|change[ds]?|changing|rather|correction|mistake|meant|no longer|"
    r"cancel(led)?|forget|scrap|swap|make (that|it)|switch(ed)?|on second thought|after all)\b",
    re.IGNORECASE,
)
# What begins another clause: punctuation but that in 12,000 and 9:30, these words, and the second
# ones before somebody who does something; else they are as "at" is.
_CLAUSE_BREAK = re.compile(r"[,;:()](?!\d)|\s[-–—]+\s")
_CLAUSE_WORDS = frozenset(
    "and but or so because when while if unless though although then which who that".split()
)
_CLAUSE_LINKS = frozenset("since until till before after once".split())
_SUBJECTS = frozenset("i we you he she it they".split())
_YES_WORDS = frozenset("yes yeah yep yup sure absolutely definitely correct".split())
_NO_WORDS = frozenset("no nope nah not never".split())


@dataclass(frozen=True, slots=True, eq=False)
class SentenceReading:
    """What is kept of a sentence.

    `flags`: REPLY and others. `turn`: of the message, from 0. `digest`: equal for sentences that
    say the same literally. `words`: digests of canonical words, in order; `kinds`: CONTENT and
    others of each word.
    """

    flags: int
    turn: int
    digest: int
    words: tuple[int, ...]
    kinds: bytes

    @property
    def is_reply(self) -> bool:
        return bool(self.flags & REPLY)

    def pick_words(self, kind: int) -> frozenset[int]:
        """Return the digests of the words of a kind."""
        return frozenset(
            word for word, has in zip(self.words, self.kinds, strict=True) if has & kind
        )


@dataclass(frozen=True, slots=True, eq=False)
class ChatReading:
    """A chat as it is compared, the same whichever chat it is compared with.

    `sentences`: those before the question, without small talk. `vectors`: float32, a unit row for
    each sentence and, last, one for the question; zeros without a known word. `marks`: digests of
    codes and signs that must match exactly.
    """

    sentences: tuple[SentenceReading, ...]
    question: SentenceReading
    vectors: Vectors
    marks: frozenset[int]


def read_chat(messages: Sequence[Message], embed: EmbedTexts) -> ChatReading | None:
    """Read messages that end with a user's; None if they have too many sentences.

    `embed` returns a vector for each text, of any length. Linear in the length of the chat.
    """
    texts: list[str] = []
    sentences: list[SentenceReading] = []
    marks: set[str] = set()
    answers = False
    for turn, message in enumerate(messages[:-1]):
        if message["role"] not in ("user", "assistant"):
            continue
        role = REPLY if message["role"] == "assistant" else ANSWERS * answers
        text = _MENU_PATH.sub(", ", extract_text(message) or "")
        notation = parse_notation(text)
        marks.update(notation.marks)
        # What a formula or an indented line depends on shows in nothing less than the message.
        kept = (
            [text]
            if notation.is_formal
            else list(_iter_sentences(text, keeps_all=bool(role & ANSWERS)))
        )
        if len(sentences) + len(kept) > MAX_SENTENCES:
            return None
        texts += kept
        flags = role | FORMAL * notation.is_formal
        sentences += [_read_sentence(sentence, turn, flags, notation) for sentence in kept]
        answers = bool(role & REPLY and kept and "?" in kept[-1])
    question = extract_text(messages[-1]) or ""
    vectors = embed([*texts, question])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return ChatReading(
        tuple(sentences),
        _read_sentence(question, len(messages) - 1, 0, None),
        np.asarray(vectors / np.where(lengths == 0, 1, lengths), dtype=np.float32),
        frozenset(map(digest_word, marks)),
    )


def _iter_sentences(text: str, *, keeps_all: bool) -> Iterator[str]:
    """Yield the sentences that are no small talk."""
    for match in _SENTENCE.finditer(text):
        sentence = match[0].strip()
        if sentence and (keeps_all or not is_small_talk(sentence)):
            yield sentence


def _read_sentence(text: str, turn: int, flags: int, notation: Notation | None) -> SentenceReading:
    """Read a sentence; `flags` with its role. `notation`: of its message."""
    reading = parse_text_memoized(text)
    first = next(iter(reading.tokens), "")
    flags |= (
        NEGATED * has_odd_negations(reading)
        | FOREIGN * (not is_english(text))
        | INSTRUCTS * bool(_INSTRUCTION.search(text))
        | CORRECTS * bool(_CORRECTION.search(text))
        | AFFIRMS * (first in _YES_WORDS)
        | DENIES * (first in _NO_WORDS)
        | ASKS * text.rstrip().endswith("?")
    )
    literal = (
        "\0".join(notation.literal)
        if notation is not None and flags & FORMAL
        else _fold_prose(text)
    )
    words = tuple(digest_word(canonicalize_word(token)) for token in reading.tokens)
    before = ("", *reading.tokens)
    starts = _find_clauses(text, reading.tokens)
    idle = {0} if first in _IDLE_OPENERS and 1 in starts else set()
    kinds = bytes(
        (_classify_word(token, previous, reading) if place not in idle else 0)
        | CLAUSE * (place in starts)
        for place, (previous, token) in enumerate(zip(before, reading.tokens, strict=False))
    )
    return SentenceReading(flags, turn, _digest_text(literal or text), words, kinds)


def _find_clauses(text: str, tokens: Sequence[str]) -> frozenset[int]:
    """Return the places of the tokens that begin a clause; none if they cannot be told."""
    starts: set[int] = set()
    place = 0
    for part in _CLAUSE_BREAK.split(fold_text(text)):
        found = tokenize_text(part)
        if tuple(found) != tuple(tokens[place : place + len(found)]):
            return frozenset()
        starts |= {place} if found else set()
        place += len(found)
    words = {
        at
        for at, (token, following) in enumerate(zip(tokens, (*tokens[1:], ""), strict=False))
        if token in _CLAUSE_WORDS or (token in _CLAUSE_LINKS and following in _SUBJECTS)
    }
    return frozenset(starts | words) if place == len(tokens) else frozenset()


def _fold_prose(text: str) -> str:
    """Return a sentence without blanks and punctuation around it; the first letter is small."""
    plain = " ".join(fold_text(text).split()).strip(" .,;:!?")
    return plain[:1].lower() + plain[1:]


def _digest_text(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="replace"), digest_size=8).digest(), "big")


def _classify_word(token: str, previous: str, reading: ParsedText) -> int:
    word = canonicalize_word(token)
    kind = CONTENT * (token not in FILLERS and token not in _IDLE_WORDS and word not in LINKS)
    if token[0].isdecimal() or (token in _DAY_HALVES and previous[:1].isdecimal()):
        return kind | CONTENT | NUMBER
    if token in AMBIGUOUS_NUMBER_WORDS:
        return kind | LOOSE_NUMBER
    return kind | NAME * (token in reading.names or contains_known_name((word,)))


@lru_cache(maxsize=20_000)
def digest_word(word: str) -> int:
    """Return 32 bits of a canonical word's digest."""
    return int.from_bytes(blake2b(word.encode(errors="replace"), digest_size=4).digest(), "big")


def digest_words(words: str | Iterable[str]) -> frozenset[int]:
    """Return the digests of words, of a text those between blanks, each in its canonical form."""
    some = words.split() if isinstance(words, str) else words
    return frozenset(digest_word(canonicalize_word(word)) for word in some)


# Words such as `first`, by digest, with the digest of the number that they may stand for.
LOOSE_NUMBERS = {
    digest_word(canonicalize_word(word)): digest_word(value)
    for word, value in AMBIGUOUS_NUMBER_WORDS.items()
}


def pack_reading(reading: ChatReading) -> bytes:
    """Pack a reading for an entry: some 200 bytes a sentence."""
    rows = [
        [
            each.flags,
            each.turn,
            each.digest,
            np.array(each.words, dtype=np.uint32).tobytes(),
            each.kinds,
        ]
        for each in (*reading.sentences, reading.question)
    ]
    vectors = np.round(reading.vectors * _VECTOR_SCALE).astype(np.int8)
    packed: bytes = msgpack.packb(
        [rows, vectors.shape[1], vectors.tobytes(), sorted(reading.marks)]
    )
    return packed


def unpack_reading(packed: bytes) -> ChatReading | None:
    """Return the packed reading, or None for anything else."""
    try:
        rows, dimension, vectors, marks = msgpack.unpackb(packed)
        found = frozenset(map(int, marks))
        sentences = [_unpack_sentence(*row) for row in rows]
        table = np.frombuffer(vectors, dtype=np.int8).reshape(len(sentences), dimension)
    except (ValueError, TypeError, msgpack.UnpackException):
        return None
    if not 0 < len(sentences) <= MAX_SENTENCES + 1:
        return None
    lengths = np.linalg.norm(table.astype(np.float32), axis=1, keepdims=True)
    unit = table / np.where(lengths == 0, 1, lengths)
    return ChatReading(tuple(sentences[:-1]), sentences[-1], unit.astype(np.float32), found)


def _unpack_sentence(
    flags: int, turn: int, digest: int, words: bytes, kinds: bytes
) -> SentenceReading:
    """Raises ValueError or TypeError for values that `pack_reading` does not write."""
    found = tuple(np.frombuffer(words, dtype=np.uint32).tolist())
    if len(found) != len(kinds) or not all(isinstance(each, int) for each in (flags, turn, digest)):
        raise ValueError("no sentence")
    return SentenceReading(flags, turn, digest, found, kinds)
