"""Propose a plan's threshold from its labelled pairs, and judge a proposal by later pairs. Pure.

A labelled pair is a stored answer whose verdict is known, with the score that its question had. Its
score does not depend on the threshold of the day, so pairs of former thresholds count as well.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from stats.analysis.error_rate import (
    BAND_WIDTH,
    ErrorRateEstimate,
    Sample,
    estimate_error_rate,
    learn_threshold,
)

# So many pairs, all of them right, show a rate of wrong ones of at most 1.9 %.
MIN_PAIRS: Final = 200
# Pairs from after a proposal that it must have been right about.
MIN_FRESH_PAIRS: Final = 100
# Of them, those that only a lower threshold would have served: the others say nothing about it.
MIN_FRESH_PAIRS_BELOW: Final = 20
# A smaller step is not worth that the error budget starts to measure anew.
MIN_STEP: Final = BAND_WIDTH
# Sources are left out one by one, those with most pairs below the scores in question first.
MAX_SOURCES_LEFT_OUT: Final = 50
_EPSILON: Final = 1e-9


@dataclass(frozen=True, slots=True)
class LabelledPair(Sample):
    """A sample with who asked.

    `source`: the virtual key, or the tenant under a plan that several tenants use.
    """

    source: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationTerms:
    """What a proposal has to keep to.

    `target`: the accepted rate of wrong hits; `threshold`: the plan's present one; `floor`: none
    below it is proposed; `is_shared`: sources are tenants, whose thresholds the error budget raises
    one by one; `users`: sources that use the plan, with pairs or without.
    """

    target: float
    threshold: float
    floor: float
    is_shared: bool
    users: int


@dataclass(frozen=True, slots=True)
class ThresholdProposal:
    """The proposed threshold, or None and why there is none."""

    threshold: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FreshVerdict:
    """How a proposal did on the pairs from after it, and what it lacks."""

    state: Literal["waiting", "held", "failed"]
    estimate: ErrorRateEstimate
    reason: str = ""


def propose_threshold(pairs: Sequence[LabelledPair], terms: CalibrationTerms) -> ThresholdProposal:
    """Propose the threshold that the pairs support, by the curve of the error budget.

    Higher when the present one certainly exceeds the target; lower when everything down to there
    certainly keeps to it, without the pairs of any one source as well.
    """
    if len(pairs) < MIN_PAIRS:
        return ThresholdProposal(None, f"{len(pairs)} of {MIN_PAIRS} labelled pairs")
    found = _learn(pairs, terms)
    if found > terms.threshold + _EPSILON:
        return _check_raise(pairs, terms, found)
    found = max(found, terms.floor, _find_lowest_score(pairs, found))
    if found > terms.threshold - MIN_STEP + _EPSILON:
        return ThresholdProposal(None, "the pairs support no other threshold")
    return _check_lowering(pairs, terms, found)


def judge_fresh_pairs(
    fresh: Sequence[LabelledPair], proposed: float, terms: CalibrationTerms
) -> FreshVerdict:
    """Judge a proposal by the pairs that arrived after it was made."""
    found = estimate_error_rate(fresh, limit=terms.target, threshold=proposed)
    lowers = proposed < terms.threshold
    if lowers and found.is_over_budget:
        return FreshVerdict(
            "failed", found, f"{found.wrong} of {found.samples} new pairs were wrong"
        )
    if found.samples < MIN_FRESH_PAIRS:
        return FreshVerdict("waiting", found, f"{found.samples} of {MIN_FRESH_PAIRS} new pairs")
    below = sum(proposed <= pair.score < terms.threshold for pair in fresh)
    if lowers and below < MIN_FRESH_PAIRS_BELOW:
        text = f"{below} of {MIN_FRESH_PAIRS_BELOW} new pairs below the present threshold"
        return FreshVerdict("waiting", found, text)
    # To serve more, an unclear pair counts as wrong; to serve less, it does not.
    bad = found.wrong + (found.unclear if lowers else 0)
    if bad > terms.target * found.samples:
        word = "wrong or unclear" if lowers else "wrong"
        text = f"{bad} of {found.samples} new pairs were {word}, the target is {terms.target:.2%}"
        return FreshVerdict("waiting", found, text)
    return FreshVerdict("held", found)


def _learn(
    pairs: Sequence[LabelledPair], terms: CalibrationTerms, threshold: float | None = None
) -> float:
    start = terms.threshold if threshold is None else threshold
    return learn_threshold(pairs, limit=terms.target, threshold=start)


def _find_lowest_score(pairs: Sequence[LabelledPair], threshold: float) -> float:
    """Return the lowest score of a pair from the threshold on, rounded up to two places."""
    # A band may begin below all of its pairs.
    lowest = min((pair.score for pair in pairs if pair.score >= threshold), default=1.0)
    return math.ceil(round(lowest * 100, 6)) / 100


def _check_raise(
    pairs: Sequence[LabelledPair], terms: CalibrationTerms, found: float
) -> ThresholdProposal:
    """Return the raise, unless it is the matter of one tenant alone."""
    if not terms.is_shared:
        return ThresholdProposal(found)
    # The error budget raises a tenant's threshold for that tenant.
    without = _leave_each_source_out(pairs, terms, max(found, terms.threshold))
    least = min((_learn(rest, terms) for rest in without.values()), default=found)
    if least <= terms.threshold + _EPSILON:
        return ThresholdProposal(None, f"only the pairs of one tenant ask for {found:.2f}")
    return _refuse_contradiction(pairs, terms, least)


def _check_lowering(
    pairs: Sequence[LabelledPair], terms: CalibrationTerms, found: float
) -> ThresholdProposal:
    """Return the lowest threshold that is supported without any one source, if there is one."""
    # Whoever sends many pairs of the one kind must not open the cache to wrong answers for others.
    without = _leave_each_source_out(pairs, terms, max(found, terms.threshold))
    least = max((_learn(rest, terms) for rest in without.values()), default=found)
    lowest = max(found, least)
    if lowest > terms.threshold - MIN_STEP + _EPSILON:
        word, counted = ("tenant" if terms.is_shared else "key"), _count_sources(pairs)
        text = f"{found:.2f} rests on the pairs of one {word}, {counted[0][1]} of {len(pairs)}"
        return ThresholdProposal(None, text)
    return _refuse_contradiction(pairs, terms, lowest)


def _refuse_contradiction(
    pairs: Sequence[LabelledPair], terms: CalibrationTerms, proposed: float
) -> ThresholdProposal:
    """Return the proposal, unless the pairs of one source alone ask for a higher threshold."""
    by_source: dict[int, list[LabelledPair]] = {}
    for pair in pairs:
        by_source.setdefault(pair.source, []).append(pair)
    for source, own in by_source.items():
        asked = _learn(own, terms, proposed)
        if asked > proposed + _EPSILON:
            word = "tenant" if terms.is_shared else "key"
            text = f"the pairs of {word} {source} ask for {asked:.2f}, not {proposed:.2f}"
            return ThresholdProposal(None, text)
    return ThresholdProposal(proposed)


def _count_sources(pairs: Sequence[LabelledPair]) -> list[tuple[int, int]]:
    """Count the pairs of each source, most first."""
    return Counter(pair.source for pair in pairs).most_common()


def _leave_each_source_out(
    pairs: Sequence[LabelledPair], terms: CalibrationTerms, high: float
) -> dict[int, list[LabelledPair]]:
    """Return the pairs without each source in turn; nothing if only one uses the plan.

    First without those that have most pairs below `high`.
    """
    below = Counter(pair.source for pair in pairs if pair.score < high)
    counted = sorted(_count_sources(pairs), key=lambda each: (-below[each[0]], -each[1]))
    if max(len(counted), terms.users) < 2:
        return {}
    return {
        source: [pair for pair in pairs if pair.source != source]
        for source, _ in counted[:MAX_SOURCES_LEFT_OUT]
    }
