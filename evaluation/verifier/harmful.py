"""Edits that make another question of it."""

import random
import re
from collections.abc import Callable

from evaluation.verifier.stock import APPENDED, LIMITS, NAMES, PLACES, THINGS, items
from proxy.core.verification.lexicon import places
from proxy.core.verification.lexicon.opposites import ANTONYM_PAIRS, EXCLUSIVE_KINDS
from proxy.core.verification.parsed_text import FILLERS, LINKS

Edit = Callable[[str, random.Random], str | None]

_COMMANDS = frozenset(
    "add book buy call cancel change charge check close convert create delete disable "
    "enable find freeze give increase let lower make move open order pay play put raise "
    "remind remove report reserve reset schedule send set share show start stop tell "
    "transfer turn update use".split()
)
_NEGATABLE = [
    ("can", "can't"), ("should", "shouldn't"), ("do", "don't"), ("does", "doesn't"), ("is", "isn't"), ("will", "won't"), ("was", "wasn't"),
    ("did", "didn't"), ("i want", "i don't want"), ("i need", "i don't need"), ("with", "without"), ("i have", "i don't have"),
    ("how to", "how not to"), ("allowed", "not allowed"), ("are", "aren't"), ("works", "doesn't work"),
]  # fmt: skip
_SCOPES = [
    ("all", "any"), ("all", "some"), ("every", "one"), ("first", "last"), ("next", "last"), ("before", "after"), ("more", "less"),
    ("most", "least"), ("maximum", "minimum"), ("today", "tomorrow"), ("this week", "next week"), ("weekly", "monthly"), ("now", "later"),
    ("morning", "evening"), ("when", "where"), ("how long", "how often"), ("how many", "how often"), ("who", "why"),
    ("how much", "how long"), ("why", "how"), ("where", "why"), ("what", "who"), ("inside", "outside"), ("above", "below"),
    ("for", "against"), ("up", "down"), ("on", "off"), ("with", "without"), ("am", "pm"),
]  # fmt: skip


def _classes(*texts: list[list[str]]) -> dict[str, list[str]]:
    """Word to those that may stand in its place and say something else."""
    found: dict[str, list[str]] = {}
    for group in (group for groups in texts for group in groups):
        for word in group:
            found[word] = found.get(word, []) + [other for other in group if other != word]
    return found


_OPPOSITES = _classes([pair.split() for pair in ANTONYM_PAIRS.split(",")])
_KINDS = _classes(
    [kind.split() for kind in items(EXCLUSIVE_KINDS)], [things.split() for things in items(THINGS)]
)
_NAMED = _classes([name.split() for name in NAMES.split(",")])
_WHERE = sorted(places.PLACE_NAMES)
_LONG = [tuple(entry.split(", ")) for entry in items(PLACES)]


def number(text: str, rng: random.Random) -> str | None:
    """Another number in the place of one, near to it or with figures exchanged."""
    found = list(re.finditer(r"\d+", text))
    if not found:
        return None
    match = rng.choice(found)
    old = match[0]
    new = str(max(0, int(old) + rng.choice([-5, -2, -1, 1, 1, 2, 3, 10, 100])))
    if len(old) > 2 and rng.random() < 0.4:
        at = rng.randrange(len(old) - 1)
        new = old[:at] + old[at + 1] + old[at] + old[at + 2 :]
    return text[: match.start()] + new + text[match.end() :] if new != old else None


def number_word(text: str, rng: random.Random) -> str | None:
    words = (
        "two three four five six seven eight nine ten twelve twenty thirty fifty hundred".split()
    )
    found = [word for word in words if re.search(rf"\b{word}\b", text, re.IGNORECASE)]
    if not found:
        return None
    return re.sub(
        rf"\b{found[0]}\b",
        rng.choice([word for word in words if word != found[0]]),
        text,
        count=1,
        flags=re.IGNORECASE,
    )


def negate(text: str, rng: random.Random) -> str | None:
    first = text.partition(" ")[0].lower()
    if first == "please" and text.split(" ")[1:2] and text.split(" ")[1].lower() in _COMMANDS:
        return re.sub(
            r"^please", rng.choice(["please don't", "please do not"]), text, flags=re.IGNORECASE
        )
    if first in _COMMANDS:
        return (
            rng.choice(["don't ", "do not ", "please don't ", "never ", "stop, do not "])
            + text[0].lower()
            + text[1:]
        )
    return swap(text, _NEGATABLE, rng)


def oppose(text: str, rng: random.Random) -> str | None:
    return _replace(text, _OPPOSITES, rng)


def exchange(text: str, rng: random.Random) -> str | None:
    """Another thing of its kind."""
    return _replace(text, _KINDS, rng)


def rename(text: str, rng: random.Random) -> str | None:
    return _replace(text, _NAMED, rng)


def move(text: str, rng: random.Random) -> str | None:
    """Another place in the place of one."""
    for one, other in _LONG:
        for old, new in ((one, other), (other, one)):
            if re.search(rf"\b{old}\b", text, re.IGNORECASE) and not (
                new in text.lower() and old in new
            ):
                return re.sub(rf"\b{old}\b", new, text, count=1, flags=re.IGNORECASE)
    return _replace(text, {place: [rng.choice(_WHERE)] for place in _WHERE}, rng)


def rescope(text: str, rng: random.Random) -> str | None:
    return swap(text, _SCOPES, rng)


def limit(text: str, rng: random.Random) -> str | None:
    """One more condition."""
    return f"{text.rstrip('?.! ')} {rng.choice(items(LIMITS))}"


def only(text: str, rng: random.Random) -> str | None:
    words = text.split(" ")
    at = rng.randrange(1, len(words)) if len(words) > 2 else 0
    return " ".join([*words[:at], "only", *words[at:]]) if at and "only" not in words else None


def append(text: str, rng: random.Random) -> str | None:
    """Something else behind it, or before it."""
    more = " ".join(rng.sample(items(APPENDED), rng.choice([1, 1, 2])))
    return rng.choice(
        [
            f"{text.rstrip('?.')} {more}",
            f"{text} {more}",
            f"{text}. {more}?",
            f"{more}. {text}",
            f"{text} {text} {more}",
        ]
    )


def turn(text: str, rng: random.Random) -> str | None:
    """From A to B, from B to A; and words around than, over, instead of."""
    word = r"((?:[\w'-]+ )?[\w'-]+)"
    for pattern, form in (
        (rf"\bfrom {word} (to|into) {word}\b", "from {2} {1} {0}"),
        (rf"\b{word} (instead of|rather than|better than) {word}\b", "{2} {1} {0}"),
    ):
        match = re.search(pattern, text, re.IGNORECASE)
        if match:
            return text[: match.start()] + form.format(*match.groups()) + text[match.end() :]
    return None


def substitute(text: str, rng: random.Random, others: list[str]) -> str | None:
    """A word of another question in the place of one."""
    words = text.split(" ")
    at = _content(words)
    new = _content(other := rng.choice(others).split(" "))
    if not at or not new:
        return None
    place, word = rng.choice(at), other[rng.choice(new)]
    if word.lower().strip("?.!,")[:4] == words[place].lower().strip("?.!,")[:4]:
        return None
    words[place] = word
    return " ".join(words)


def _content(words: list[str]) -> list[int]:
    return [
        place
        for place, word in enumerate(words)
        if len(word) > 3 and word.isalpha() and word.lower() not in FILLERS | LINKS
    ]


def _replace(text: str, others: dict[str, list[str]], rng: random.Random) -> str | None:
    words = text.split(" ")
    known = [place for place, word in enumerate(words) if word.lower().strip("?.!,") in others]
    if not known:
        return None
    place = rng.choice(known)
    bare = words[place].lower().strip("?.!,")
    new = rng.choice(others[bare])
    words[place] = (
        words[place].lower().replace(bare, new.capitalize() if words[place][0].isupper() else new)
    )
    return " ".join(words) if new != bare else None


def swap(text: str, pairs: list[tuple[str, str]], rng: random.Random) -> str | None:
    """One of a pair for the other, whichever is found."""
    both = [*pairs, *((other, one) for one, other in pairs)]
    fits = [(one, other) for one, other in both if re.search(rf"\b{one}\b", text, re.IGNORECASE)]
    if not fits:
        return None
    one, other = rng.choice(fits)
    return re.sub(rf"\b{one}\b", other, text, count=1, flags=re.IGNORECASE)


HARMFUL: dict[str, Edit] = {
    "number": number, "number word": number_word, "negation": negate, "antonym": oppose, "kind": exchange, "name": rename, "place": move,
    "scope": rescope, "limit": limit, "only": only, "appended": append, "direction": turn,
}  # fmt: skip
