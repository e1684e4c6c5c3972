"""Labelled pairs of near questions, made of the questions of one side."""

import random
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.matching.sources import Pair
from proxy.core.verification.rules.rule_registry import veto_question

Embed = Callable[[Sequence[str]], NDArray[np.float32]]

# Cosines above which questions of one intent have one answer, if the rules agree, and above which
# those of another are traps.
MIN_SAME_SIMILARITY, MIN_TRAP_SIMILARITY = 0.55, 0.45
MAX_SAME_OF_A_QUESTION = MAX_TRAPS_OF_A_QUESTION = 3
# Rules that object to many a paraphrase.
_DOUBTFUL = ("replaced", "order", "question", "unrelated")


def pair_neighbours(
    intents: dict[str, list[str]], embed: Embed, rng: random.Random, *, count: int
) -> list[Pair]:
    """Pair questions with near ones of their intent, and with the nearest of other intents.

    At most half of `count` of each kind. `embed`: texts to unit vectors, one a row.
    """
    texts = [(text, intent) for intent in sorted(intents) for text in intents[intent]]
    if not texts:
        return []
    vectors = embed([text for text, _ in texts])
    near = vectors @ vectors.T
    same, traps = [], []
    for one, (text, intent) in enumerate(texts):
        order = [int(place) for place in np.argsort(-near[one]) if place != one]
        kin = [
            place
            for place in order
            if texts[place][1] == intent and near[one, place] > MIN_SAME_SIMILARITY
        ]
        foreign = [
            place
            for place in order
            if texts[place][1] != intent and near[one, place] > MIN_TRAP_SIMILARITY
        ]
        chosen = rng.sample(kin, min(MAX_SAME_OF_A_QUESTION, len(kin)))
        same += [Pair(text, texts[place][0], True, "intent_same") for place in chosen]
        traps += [
            Pair(text, texts[place][0], False, "intent_other")
            for place in foreign[:MAX_TRAPS_OF_A_QUESTION]
        ]
    same = [pair for pair in same if (veto_question(pair.a, pair.b) or _DOUBTFUL[0]) in _DOUBTFUL]
    rng.shuffle(same)
    rng.shuffle(traps)
    return same[: count // 2] + traps[: count - count // 2]
