"""Learn what speaks for two chats that differ in their words to share an answer.

Called by `manage.py train_conversations`. The written conversations alone teach. The sums are
numpy's, so the weights differ in their last digits from one machine to another.
"""

import json
from collections.abc import Iterator, Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from evaluation.conversations.boosting import BoostingPlan, TreeLearner
from evaluation.conversations.decide import DecidedPairs, PairDecider
from evaluation.conversations.written_pairs import (
    DROPPED_EXCHANGE,
    MILD_DROPPED_EXCHANGE,
    STANDALONE_QUESTION,
    Part,
    build_chat_pairs,
    get_part,
)
from evaluation.conversations.written_turns import Row
from evaluation.matching.nearness import find_near_texts, list_judging_texts
from evaluation.matching.readings import PairReader
from evaluation.matching.train import TooNear, TrainingPlan
from evaluation.matching.written_sets import read_conversations
from proxy.core.verification.boosted_trees import BoostedTrees, build_trees
from proxy.core.verification.chat_features import CHAT_FEATURE_SIGNS, CHAT_FEATURES

Floats = NDArray[np.float64]

# Of each kind, by part.
PAIRS: dict[Part, int] = {"teach": 400, "cut": 400, "judge": 200}
# Of the traps that set the cut, at most so many are served. A chat that lacks an exchange reads
# like one without an aside, and no cut that serves much keeps all of them out.
TRAPS_SERVED, DROPPED_EXCHANGES_SERVED = 0.005, 0.05
# Of a pair that a rule refuses; of others 1.
REFUSED_WEIGHT = 0.1
BOOSTING = BoostingPlan()
DECIMALS = 6  # of what is written
_STATEMENTS_PLACE = CHAT_FEATURES.index("rest_statements_more")


def run(plan: TrainingPlan) -> None:
    """Write the weights, and print what they serve. Raises OSError and TooNear."""
    begun = perf_counter()
    rows = read_conversations()
    refuse_near_rows(rows, plan)
    decider = PairDecider(plan.models)
    parts = {part: decide_part(rows, part, decider, seed=plan.seed) for part in PAIRS}
    trees, offset = learn_trees(parts["teach"])
    built = build_trees(trees, offset)
    cut = find_cut(parts["cut"], weigh_rows(built, parts["cut"].features))
    rounded = [[[round(value, DECIMALS) for value in node] for node in tree] for tree in trees]
    weights = {"features": CHAT_FEATURES, "cut": cut, "offset": offset, "trees": rounded}
    plan.out.write_text(json.dumps(weights, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{int(parts['teach'].is_open.sum())} open pairs teach; cut {cut:.2f}")
    print("\n".join(describe_kinds(parts["judge"], built, cut)))
    print(f"{plan.out}: {perf_counter() - begun:.0f} s in all")


def refuse_near_rows(rows: Sequence[Row], plan: TrainingPlan) -> None:
    """Raise TooNear when a written text is as good as one of the folder's."""
    texts = [text for row in rows for text in _iter_texts(row)]
    if near := find_near_texts(texts, list_judging_texts(plan.data), PairReader(plan.models)):
        raise TooNear("\n".join(f"{text} | {other}" for text, other in near))


_TEXT_FIELDS = (
    "question",
    "question_reworded",
    "question_mild",
    "user",
    "offer",
    "offer_reworded",
    "offer_mild",
    "rival",
)


def _iter_texts(row: Row) -> Iterator[str]:
    for name in _TEXT_FIELDS:
        yield from [row[name]] if name in row else []
    yield from row.get("exchange", ())
    for name in ("history", "reworded", "mild"):
        yield from (text for exchange in row.get(name, ()) for text in exchange)


def decide_part(
    rows: Sequence[Row], part: Part, decider: PairDecider, *, seed: int
) -> DecidedPairs:
    """Make the pairs of a part and apply the rules to them."""
    some = [row for row in rows if get_part(row) == part]
    return decider.decide_rules(build_chat_pairs(some, PAIRS[part], seed=seed))


def learn_trees(part: DecidedPairs) -> tuple[list[list[list[float]]], float]:
    """Learn from pairs whose questions match and need their chats; as much from either label.

    What the rules refuse anyway teaches a tenth.
    """
    some = part.matches & ~part.is_served & (part.kinds != STANDALONE_QUESTION)
    labels = part.labels[some]
    weights = np.where(part.is_open[some], 1.0, REFUSED_WEIGHT)
    for label in (True, False):
        weights[labels == label] *= len(labels) / 2 / weights[labels == label].sum()
    signs = list(CHAT_FEATURE_SIGNS.values())
    return TreeLearner(part.features[some], signs, BOOSTING).learn(labels, weights)


def weigh_rows(trees: BoostedTrees, rows: Floats) -> Floats:
    """Return the evidence of each row."""
    return np.array([trees.weigh(row) for row in rows])


def find_cut(part: DecidedPairs, evidence: Floats) -> float:
    """Return the least cut, at or above even odds, at which few enough traps are served."""
    dropped = np.isin(part.kinds, (DROPPED_EXCHANGE, MILD_DROPPED_EXCHANGE))
    return max(
        0.0,
        _find_least(part, evidence, ~part.labels & ~dropped, TRAPS_SERVED),
        _find_least(part, evidence, ~part.labels & dropped, DROPPED_EXCHANGES_SERVED),
    )


def _find_least(
    part: DecidedPairs, evidence: Floats, traps: NDArray[np.bool_], share: float
) -> float:
    """Return the evidence above which at most a share of these traps lies."""
    allowed = int(share * traps.sum()) - int((part.is_served & part.matches & traps).sum())
    some = np.sort(evidence[traps & part.is_open & part.matches])[::-1]
    return float(np.nextafter(some[max(0, allowed)], np.inf)) if len(some) > allowed else -np.inf


def describe_kinds(part: DecidedPairs, trees: BoostedTrees, cut: float) -> Iterator[str]:
    """Yield a line for each kind: what is served of its pairs, all checks applied.

    First below the strict threshold of questions, then from it on, where nothing may be stated
    besides. The questions match by the strict threshold in both.
    """
    served = part.decide(weigh_rows(trees, part.features), cut)
    strict = served & (part.is_served | (part.features[:, _STATEMENTS_PLACE] == 0))
    for kind in dict.fromkeys(part.kinds.tolist()):
        some = part.kinds == kind
        label = "same" if part.labels[some][0] else "trap"
        shares = f"{served[some].mean():7.3f} {strict[some].mean():7.3f}"
        yield f"{kind:44} {label} {shares} of {int(some.sum())}"
