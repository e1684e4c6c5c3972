"""Questions that need nothing of what was said before: the same words would be answered the same after any other history.

Told narrowly, since a question that looks complete mostly is not: "how long does delivery take?" means the sofa, to Norway. It must be
one sentence that asks, without a word that points back, without a thing that only the chat can tell (the battery, my plan), with enough to
say by itself; and the history must not speak of any of it, say how to answer, or, where the question names nothing, tell anything of the
user.
"""

import re
from collections.abc import Iterable

from proxy.core.text.normalize import fold
from proxy.core.verification.parsed_text import END, remembered
from proxy.core.verification.rules.names import names_something

# Characters of earlier turns of the user beyond which nobody looks whether they matter.
_TOLD = 300
# Words of content, and how many less will do where something is named.
_CONTENT, _NAMED = 3, 2
_MEASURES = frozenset("many much long far often old big fast tall soon late early good best well way thing kind".split())
_POINTS = re.compile(
    r"\b(it|its|itself|this|that|these|those|they|them|their|theirs|he|him|his|she|her|hers|there|here|then|one|ones|other|others|another|"
    r"same|first|second|third|former|latter|last|next|previous|earlier|above|below|such|so|too|also|else|instead|again|still|more|less|rest|"
    r"both|either|neither|each|all|already|yet|now|we|us|our|ours|mine|you|your|yours|mentioned|said|yes|no|ok|okay|sure|alternatives?|"
    r"similar|different one|compared|even|otherwise|everything|anything|something|someone|everyone|today|tomorrow|yesterday)\b"
    r"|^(and|but|or|because|if|in that case|what about|how about|what if)\b"
)
_POLITE = re.compile(r"\b(can|could|would) you( please)?( (give|tell|show) me)?\b")
_ASKS = re.compile(
    r"^(please )?(what|what's|which|who|whose|when|where|why|how|is|are|was|were|do|does|did|can|could|will|would|should|has|have|explain|"
    r"describe|define|list|name)\b"
)
_DEFINITE = re.compile(r"\bthe\b(?!( [\w'-]+){1,3} (of|between) (?!it\b|the\b|my\b)\w)")
_MINE = re.compile(r"\bmy\b(?! ([A-Z][\w'-]*))")
_TELLS = re.compile(r"\b(i|i'm|i've|i'd|i'll|im|me|my|mine|we|we're|we've|our|us)\b")
_HOW_TO_ANSWER = re.compile(
    r"\b(answer|answers|reply|replies|respond|speak|say|write|use|keep|always|never|only|pretend|act|play|you|your|imagine|role|let's|lets|"
    r"call|as if|format|short|brief|briefly|words|language|translate|from now|please|stop|start|no|not|don't|bullet|json|simple|formal|"
    r"units?|english|french|german|spanish|italian|portuguese|dutch|polish|russian|chinese|japanese|arabic|hindi|turkish|assume|suppose)\b"
)


def stands_alone(question: str, told: Iterable[str], replies: Iterable[str]) -> bool:
    """Whether the question would be answered the same had the user not `told` all that, and not had those replies."""
    told = tuple(told)
    return _is_whole(question) and _tells_nothing(question, told, tuple(replies))


def speaks_of(answer: str, told: Iterable[str], question: str) -> bool:
    """Whether an answer takes up what was told, beyond the question: a number, a name, or two words of it."""
    asked, given = remembered(question), remembered(answer)
    shared = set().union(*(remembered(turn).content for turn in told)) & given.content - asked.content
    names = set().union(*(remembered(turn).names for turn in told)) & set(given.tokens)
    return len(shared) > 1 or bool(names) or any(word[0].isdecimal() or names_something([word]) for word in shared)


def _is_whole(question: str) -> bool:
    plain = fold(question).strip()
    lower, reading = _POLITE.sub("", plain.lower()).strip(), remembered(question)
    if END in reading.tokens or not _ASKS.search(lower) or _POINTS.search(lower) or _DEFINITE.search(lower) or _MINE.search(plain):
        return False
    return len(reading.content - _MEASURES) >= (_NAMED if _names(question) else _CONTENT)


def _tells_nothing(question: str, told: tuple[str, ...], replies: tuple[str, ...]) -> bool:
    if sum(map(len, told)) > _TOLD:
        return False
    content = remembered(question).content
    if any(not content.isdisjoint(remembered(text).content) for text in (*told, *replies)):
        return False
    lower = [_POLITE.sub("", fold(turn).lower()) for turn in told]
    if any(_HOW_TO_ANSWER.search(turn) for turn in lower):
        return False
    return _names(question) or not any(_TELLS.search(turn) for turn in lower)


def _names(question: str) -> bool:
    reading = remembered(question)
    return bool(reading.names) or names_something(reading.content)
