"""Learn what the verifier's features weigh, and where its usual threshold lies.

Called by `manage.py train_verifier`. Minutes, nearly all of them for reading texts; the sums are
numpy's, so the weights differ in their last digits from one machine to another.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from evaluation.matching.logistic import Logistic, fit_logistic
from evaluation.matching.nearness import find_near_texts, list_judging_texts
from evaluation.matching.operating_points import find_evidence_at
from evaluation.matching.readings import PairReader
from evaluation.matching.sources import read_sources, table
from evaluation.matching.tables import PairTable, build_teaching_tables
from evaluation.matching.written_sets import QuestionGroup, read_groups
from evaluation.taught import TAUGHT, write
from proxy.core.verification.pair_features import CHEAP_FEATURES, FEATURE_SIGNS, FEATURES

# The usual threshold lies where at most so many of the written groups' traps that teach are served,
# and at most so many of all other traps.
GROUP_TRAPS_SERVED, OTHER_TRAPS_SERVED = 0.01, 0.02
# Share of the open pairs whose evidence may exceed its bound.
ABOVE_BOUND = 0.001

Floats = NDArray[np.float64]
Tables = Sequence[tuple[PairTable, float]]


class TooNear(Exception):
    """A text that would teach is as good as one that judges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """`data`: a folder of evaluation data; `models`: that of exported models."""

    data: Path
    models: Path
    out: Path
    seed: int


def run(plan: TrainingPlan) -> None:
    """Write the weights, and print what they come from. Raises OSError and TooNear."""
    begun = perf_counter()
    sources, groups, reader = read_sources(plan.data), read_groups(), PairReader(plan.models)
    print("\n".join(table(sources.counts)))
    refuse_near_texts(groups, plan.data, reader)
    tables = build_teaching_tables(sources, groups, reader, seed=plan.seed)
    evidence = fit_columns(tables, list(range(len(FEATURES))))
    usual, (bound, bound_offset) = (
        find_usual_evidence(tables, evidence),
        fit_bound(tables, evidence),
    )
    weights = {
        "evidence": dict(zip(FEATURES, evidence.weights.tolist(), strict=True)),
        "evidence_offset": evidence.offset,
        "usual_evidence": usual,
        "bound": dict(zip(CHEAP_FEATURES, bound.tolist(), strict=True)),
        "bound_offset": bound_offset,
    }
    plan.out.write_text(json.dumps(weights, indent=1) + "\n", encoding="utf-8")
    teachers = [text for group in groups if group.teaches for text in list_texts(group)]
    write([*sources.taught(), *teachers], plan.out.with_name(TAUGHT.name))
    pairs = [len(each.pairs) for each, _ in tables]
    print(f"{pairs} pairs, of them {[int(each.is_open.sum()) for each, _ in tables]} left open")
    print(f"{plan.out}: usual evidence {usual:.2f}, {perf_counter() - begun:.0f} s in all")
    print("Now measure the thresholds that have names: python -m evaluation.matching --write")


def refuse_near_texts(groups: Sequence[QuestionGroup], data: Path, reader: PairReader) -> None:
    """Raise TooNear when a written text is as good as one of the folder's."""
    written = [text for group in groups for text in list_texts(group)]
    if near := find_near_texts(written, list_judging_texts(data), reader):
        raise TooNear("\n".join(f"{text} | {other}" for text, other in near))


def list_texts(group: QuestionGroup) -> tuple[str, ...]:
    return (*group.wordings, *group.traps)


def fit_columns(tables: Tables, columns: list[int]) -> Logistic:
    """Fit the evidence of these features to the open pairs that teach."""
    rows, labels, weights = stack_open(tables)
    signs = [FEATURE_SIGNS[FEATURES[column]] for column in columns]
    return fit_logistic(rows[:, columns], labels, weights, signs=signs)


def stack_open(tables: Tables) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Return features, labels and weights of the open pairs that teach, one pair a row."""
    rows = np.vstack([each.features[each.is_open] for each, _ in tables])
    labels = np.concatenate([each.labels[each.is_open] for each, _ in tables])
    weights = np.concatenate(
        [
            np.full(each.is_open.sum(), weight / max(1, each.is_open.sum()))
            for each, weight in tables
        ]
    )
    return rows, labels, weights / weights.mean()


def find_usual_evidence(tables: Tables, evidence: Logistic) -> float:
    """Return the evidence at which as many traps are served as the usual threshold may."""
    weighed = [evidence.weigh(each.features) for each, _ in tables]
    return find_evidence_at(tables, weighed, (GROUP_TRAPS_SERVED, OTHER_TRAPS_SERVED))


def fit_bound(tables: Tables, evidence: Logistic) -> tuple[Floats, float]:
    """Fit weights and offset of CHEAP_FEATURES to evidence that hardly an open pair exceeds."""
    rows = np.vstack([each.features[each.is_open] for each, _ in tables])
    cheap = np.vstack([each.cheap_features[each.is_open] for each, _ in tables])
    found = evidence.weigh(rows)
    design = np.column_stack([cheap, np.ones(len(cheap))])
    weights: Floats = np.linalg.lstsq(design, found, rcond=None)[0].astype(np.float64)
    above = np.quantile(found - design @ weights, 1 - ABOVE_BOUND)
    return weights[:-1], float(weights[-1] + above)
