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


# Wider, for chats that are compared sentence by sentence (`chat_decision`): how a question is
# phrased, whatever was said before it. Written with the conversations of `evaluation/sets` that
# teach, and the development chats, in view.

_MIN_PHRASED_WORDS, _MAX_ACCEPTANCE_WORDS = 2, 2  # of content
# With "the" and no name a question needs more: the phone number is somebody's.
_MIN_DEFINITE_WORDS = 4
_PHRASED_START = re.compile(
    r"^((hi|hello|hey|before i go|oh|also|by the way|btw|one more thing|quick question)?[ ,]*)?"
    r"(what|what's|whats|when|when's|where|where's|who|who's|whose|how|how's|which|why|is|are|do|"
    r"does|did|can|could|will|would|may|should|has|have)\b"
)
# What looks like a reference and is none.
_NO_REFERENCE = re.compile(
    r"\b(is|are|was|were|will|isn't|aren't) there( be)?\b|\bthere('s| is| are)\b|"
    r"\bthis (year|month|week|summer|winter|spring|autumn|fall)\b|\binstead of\b|"
    r"\b(more|less) than\b|\bat the same time\b|\bbefore i go\b|\bby the way\b"
)
_REFERENCE = re.compile(
    r"\b(it|its|this|that|these|those|they|them|their|there|one|ones|then|same|so|he|she|him|her|"
    r"his|other|another|else|instead|first|second|third|last|next|both|either|neither|again|still|"
    r"also|too|now|more|less|previous|above|yours|mine|such|each|rest|we)\b"
    r"|^(and|so|ok|okay|but|then|yes|yeah|great|fine|cool|right|or|because|perfect|good|thanks|"
    r"in that case|what about|how about|what if)\b"
)
# Requests to do something, and questions about one's own matter: what will I pay in total?
_OWN_MATTER = re.compile(
    r"\b(can|could|would|will|may) (you|somebody|someone|anybody|we|he|she|my|the)\b|"
    r"\b(would|will|'ll|should|shall|must|might) (i|we|my|our|the|you)\b|\bwhat'll\b|"
    r"\bdo (i|we) (pay|owe|need|have|still)\b|\b(am|was|were|did|have|had) (i|we|you)\b|"
    r"\b(total|sum|amount|altogether|together|left|difference|money|figure|pair|bill us|owe|ours|"
    r"our|us)\b|\b(going to|gonna)\b|\b(what|when|where|who|which|how)('s| is| are) the \w+\?*$"
)
_ACCEPTANCE = re.compile(
    r"^(yes|yeah|yep|yup|ok|okay|sure|no|nope|nah|please|go|do|the (first|second|third|last|former|"
    r"latter)|(first|second) one|that one|that('d| would)|both|neither|all right|alright|sounds|"
    r"great|perfect|correct|right|definitely|absolutely|oh|fine|lovely|brilliant|let's|not)\b"
)


def is_phrased_standalone(question: str) -> bool:
    """Return whether the question reads like one that any chat, or none, could end with."""
    text, reading = fold_text(question).strip().lower(), parse_text_memoized(question)
    plain = _NO_REFERENCE.sub(" ", text)
    if (
        accepts_reply(question)
        or not _PHRASED_START.search(text)
        or _REFERENCE.search(plain)
        or _OWN_MATTER.search(plain)
    ):
        return False
    least = (
        _MIN_DEFINITE_WORDS
        if _DEFINITE_ARTICLE.search(plain) and not _names_entity(question)
        else _MIN_PHRASED_WORDS
    )
    return len(reading.content) >= least


def accepts_reply(question: str) -> bool:
    """Return whether the last message means what was offered or asked before it, as "yes" does."""
    content = parse_text_memoized(question).content
    text = fold_text(question).strip().lower()
    return not content or (len(content) <= _MAX_ACCEPTANCE_WORDS and bool(_ACCEPTANCE.search(text)))
