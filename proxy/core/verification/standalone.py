"""Detect standalone questions: those with the same answer whatever was said before.

Narrow, since a question that looks complete mostly is not: "how long does delivery take?" means the
sofa, to Norway. It must be one sentence that asks, without a word that refers back or a thing that
only the chat identifies (the battery, my plan), and with enough content. The history must not
mention any of it, say how to answer or, if the question names nothing, tell anything of the user.
"""

import re
from collections.abc import Iterable

from proxy.core.text.normalize import fold_text
from proxy.core.verification.parsed_text import SENTENCE_BREAK, parse_text_memoized
from proxy.core.verification.rules.names import contains_known_name

# Longer earlier turns of the user, in characters, always count as relevant.
_MAX_HISTORY_CHARACTERS = 300
# Content words that a question needs, and that it needs where it names something.
_MIN_CONTENT_WORDS, _MIN_CONTENT_WORDS_WITH_NAME = 3, 2
_MEASURE_WORDS = frozenset(
    (
        "many much long far often old big fast tall soon late early good best well way thing kind"
    ).split()
)
_BACK_REFERENCE = re.compile(
    r"\b(it|its|itself|this|that|these|those|they|them|their|theirs|he|him|his|she|her|hers|there|"
    r"here|then|one|ones|other|others|another|same|first|second|third|former|latter|last|next|"
    r"previous|earlier|above|below|such|so|too|also|else|instead|again|still|more|less|rest|both|"
    r"either|neither|each|all|already|yet|now|we|us|our|ours|mine|you|your|yours|mentioned|said|"
    r"yes|no|ok|okay|sure|alternatives?|similar|different one|compared|even|otherwise|everything|"
    r"anything|something|someone|everyone|today|tomorrow|yesterday)\b"
    r"|^(and|but|or|because|if|in that case|what about|how about|what if)\b"
)
_POLITE_REQUEST = re.compile(r"\b(can|could|would) you( please)?( (give|tell|show) me)?\b")
_QUESTION_START = re.compile(
    r"^(please )?(what|what's|which|who|whose|when|where|why|how|is|are|was|were|do|does|did|can|"
    r"could|will|would|should|has|have|explain|describe|define|list|name)\b"
)
_DEFINITE_ARTICLE = re.compile(r"\bthe\b(?!( [\w'-]+){1,3} (of|between) (?!it\b|the\b|my\b)\w)")
_POSSESSIVE = re.compile(r"\bmy\b(?! ([A-Z][\w'-]*))")
_FIRST_PERSON = re.compile(r"\b(i|i'm|i've|i'd|i'll|im|me|my|mine|we|we're|we've|our|us)\b")
_ANSWER_INSTRUCTION = re.compile(
    r"\b(answer|answers|reply|replies|respond|speak|say|write|use|keep|always|never|only|pretend|"
    r"act|play|you|your|imagine|role|let's|lets|call|as if|format|short|brief|briefly|words|"
    r"language|translate|from now|please|stop|start|no|not|don't|bullet|json|simple|formal|units?|"
    r"english|french|german|spanish|italian|portuguese|dutch|polish|russian|chinese|japanese|"
    r"arabic|hindi|turkish|assume|suppose)\b"
)


def stands_alone(question: str, told: Iterable[str], replies: Iterable[str]) -> bool:
    """Return whether the question has the same answer without its history.

    `told`: the user's earlier turns. `replies`: the assistant's.
    """
    told = tuple(told)
    return _is_self_contained(question) and _is_history_irrelevant(question, told, tuple(replies))


def refers_to_history(answer: str, told: Iterable[str], question: str) -> bool:
    """Return whether the answer takes up a number, a name or two words of the user's earlier turns.

    Names count even if the question has them, other words do not.
    """
    asked, given = parse_text_memoized(question), parse_text_memoized(answer)
    shared = (
        set().union(*(parse_text_memoized(turn).content for turn in told))
        & given.content - asked.content
    )
    names = set().union(*(parse_text_memoized(turn).names for turn in told)) & set(given.tokens)
    return (
        len(shared) > 1
        or bool(names)
        or any(word[0].isdecimal() or contains_known_name([word]) for word in shared)
    )


def _is_self_contained(question: str) -> bool:
    plain = fold_text(question).strip()
    lower, reading = _POLITE_REQUEST.sub("", plain.lower()).strip(), parse_text_memoized(question)
    if (
        SENTENCE_BREAK in reading.tokens
        or not _QUESTION_START.search(lower)
        or _BACK_REFERENCE.search(lower)
        or _DEFINITE_ARTICLE.search(lower)
        or _POSSESSIVE.search(plain)
    ):
        return False
    return len(reading.content - _MEASURE_WORDS) >= (
        _MIN_CONTENT_WORDS_WITH_NAME if _names_entity(question) else _MIN_CONTENT_WORDS
    )


def _is_history_irrelevant(question: str, told: tuple[str, ...], replies: tuple[str, ...]) -> bool:
    if sum(map(len, told)) > _MAX_HISTORY_CHARACTERS:
        return False
    content = parse_text_memoized(question).content
    if any(not content.isdisjoint(parse_text_memoized(text).content) for text in (*told, *replies)):
        return False
    lower = [_POLITE_REQUEST.sub("", fold_text(turn).lower()) for turn in told]
    if any(_ANSWER_INSTRUCTION.search(turn) for turn in lower):
        return False
    return _names_entity(question) or not any(_FIRST_PERSON.search(turn) for turn in lower)


def _names_entity(question: str) -> bool:
    reading = parse_text_memoized(question)
    return bool(reading.names) or contains_known_name(reading.content)
