"""Labelled pairs made from the questions of one side.

Traps and harmless edits are made of the same questions by like means, so that no pair can be judged
by its having been edited.
"""

import random
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.verifier.harmful import HARMFUL, substitute
from evaluation.verifier.harmless import HARMLESS
from evaluation.verifier.sources import Pair
from evaluation.verifier.stock import DIRECTIONS, DOING, FILL, SYMMETRIC, WAYS, items
from proxy.core.verification.rules.rule_registry import veto_question

Embed = Callable[[Sequence[str]], NDArray[np.float32]]

# Neighbours of one intent that are nearer than this have one answer, if the rules agree; other
# intents' nearest are traps.
NEAR, FAR = 0.55, 0.45
# Questions that are tried for one edit: a number cannot be changed where there is none.
TRIED = 40
# Of the edits; what reads the same as before is left out later, and that is many of the harmless.
TRAPS = 0.4
# Rules that object to many a paraphrase.
_DOUBTFUL = ("replaced", "order", "question", "unrelated")


def edited(texts: Sequence[str], count: int, rng: random.Random) -> list[Pair]:
    """Half traps, half harmless; half of the traps with a harmless edit beside it."""
    found: list[Pair] = []
    harmful = [
        *HARMFUL.items(),
        ("substitute", lambda text, rng: substitute(text, rng, list(texts))),
    ]
    harmless = list(HARMLESS.items())
    while len(found) < count:
        trap = rng.random() < TRAPS
        name, edit = rng.choice(harmful if trap else harmless)
        made = _first(texts, edit, rng)
        if made is None:
            continue
        text, other = made
        if rng.random() < 0.45:
            other = rng.choice(harmless)[1](other, rng) or other
        if rng.random() < 0.15:
            text = rng.choice(harmless)[1](text, rng) or text
        if text != other:  # a second edit may undo the first
            found.append(_turned(Pair(text, other, not trap, f"made_{name}"), rng))
    return found


def _first(
    texts: Sequence[str], edit: Callable[[str, random.Random], str | None], rng: random.Random
) -> tuple[str, str] | None:
    """A text that the edit changes, and what it makes of it."""
    for text in rng.sample(texts, min(TRIED, len(texts))):
        other = edit(text, rng)
        if other is not None and other != text:
            return text, other
    return None


def written(count: int, rng: random.Random) -> list[Pair]:
    """From the templates written by hand: turned round, where that matters and where not;
    the same in other ways, other things alike."""
    makers = (_direction, _direction, _symmetric, _ways, _ways, _other)
    found = [_turned(rng.choice(makers)(rng), rng) for _ in range(count)]
    return [pair for pair in found if pair.a != pair.b]


def neighbours(
    intents: dict[str, list[str]], embed: Embed, rng: random.Random, *, count: int
) -> list[Pair]:
    """Questions of one intent that are near to each other, and the nearest of other intents."""
    texts = [(text, intent) for intent in sorted(intents) for text in intents[intent]]
    if len(texts) < 3:
        return []
    vectors = embed([text for text, _ in texts])
    near = vectors @ vectors.T
    same, others = [], []
    for one, (text, intent) in enumerate(texts):
        order = np.argsort(-near[one])
        kin = [
            int(place)
            for place in order
            if place != one and texts[place][1] == intent and near[one, place] > NEAR
        ]
        foreign = [
            int(place) for place in order if texts[place][1] != intent and near[one, place] > FAR
        ][:4]
        same += [
            Pair(text, texts[place][0], True, "intent_same")
            for place in rng.sample(kin, min(3, len(kin)))
        ]
        others += [Pair(text, texts[place][0], False, "intent_other") for place in foreign[:3]]
    same = [pair for pair in same if (veto_question(pair.a, pair.b) or _DOUBTFUL[0]) in _DOUBTFUL]
    rng.shuffle(same)
    rng.shuffle(others)
    return [_turned(pair, rng) for pair in same[: count // 2] + others[: count - count // 2]]


def _filled(form: str, rng: random.Random) -> tuple[str, str]:
    """The form filled in, and filled in the other way round."""
    pair = next(
        pair for pair in FILL if "{" + pair[0] + "}" in form and "{" + pair[1] + "}" in form
    )
    one, other = (word.replace("-", " ") for word in rng.sample(FILL[pair].split(), 2))
    return form.format(**{pair[0]: one, pair[1]: other}), form.format(
        **{pair[0]: other, pair[1]: one}
    )


def _direction(rng: random.Random) -> Pair:
    """A direction turned, now and then with a harmless edit;
    or, one time in three, the same way with one."""
    forward, back = _filled(rng.choice(items(DIRECTIONS)), rng)
    same = rng.random() < 0.35
    other = forward if same else back
    if same or rng.random() < 0.3:
        other = rng.choice(list(HARMLESS.values()))(other, rng) or f"please {other}"
    return Pair(forward, other, same, "made_direction")


def _symmetric(rng: random.Random) -> Pair:
    forward, back = _filled(rng.choice(items(SYMMETRIC)), rng)
    return Pair(forward, back, True, "made_symmetric")


def _ways(rng: random.Random) -> Pair:
    one, other = rng.sample(items(WAYS, "|"), 2)
    doing = rng.choice(items(DOING))
    return Pair(one.format(v=doing), other.format(v=doing), True, "made_ways")


def _other(rng: random.Random) -> Pair:
    """What is done differs; half of the time by as little as the list has it: the entry beside."""
    one, other = rng.choice(items(WAYS, "|")), rng.choice(items(WAYS, "|"))
    doings = items(DOING)
    at = rng.randrange(len(doings) - 1)
    beside = (
        at + 1
        if rng.random() < 0.6
        else rng.choice([place for place in range(len(doings)) if place != at])
    )
    return Pair(one.format(v=doings[at]), other.format(v=doings[beside]), False, "made_other")


def _turned(pair: Pair, rng: random.Random) -> Pair:
    return Pair(pair.b, pair.a, pair.same, pair.group) if rng.random() < 0.5 else pair
