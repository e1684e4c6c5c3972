"""Find what the numbers of an operator's own verifier are worth.

Called by `manage.py train_verifier --verifier <folder>`. The pairs are those that teach our own, so
that a threshold means the same: the usual one lies where as many traps are served.
"""

import json
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from evaluation.matching.logistic import fit_logistic
from evaluation.matching.readings import PairReader
from evaluation.matching.sources import read_sources, table
from evaluation.matching.tables import build_teaching_tables
from evaluation.matching.train import (
    TrainingPlan,
    find_usual_evidence,
    refuse_near_texts,
    stack_open,
)
from evaluation.matching.written_sets import read_groups
from proxy.core.verification.rules.rule_registry import DOUBTFUL_RULES, list_doubtful_objections
from proxy.engines.verifiers.pair_model import PAIR_MODEL_SIGNS, PairModel

# Of a pair that the model does not read whole, which is never served.
UNREAD_LOGIT = -100.0

Floats = NDArray[np.float64]


class PairModelReader(PairReader):
    """Reads neighbours by our own models, and pairs by that of a folder."""

    def __init__(self, plan: TrainingPlan) -> None:
        super().__init__(plan.models)
        self._model = PairModel(plan.out.parent)

    def compute_features(self, asked: str, stored: str) -> Floats:
        """Compute what PAIR_MODEL_SIGNS names, as the verifier does."""
        logit = self._model.read_pair(asked, stored)
        objections = list_doubtful_objections(asked, stored)
        doubts = (float(name in objections) for name in DOUBTFUL_RULES)
        return np.array([UNREAD_LOGIT if logit is None else logit, *doubts])


def run(plan: TrainingPlan) -> None:
    """Write `plan.out`, in the folder of the model, and print what it comes from.

    Raises OSError, TooNear, and BadVerifierFolder.
    """
    begun = perf_counter()
    reader, sources, groups = PairModelReader(plan), read_sources(plan.data), read_groups()
    print("\n".join(table(sources.counts)))
    refuse_near_texts(groups, plan.data, reader)
    tables = build_teaching_tables(sources, groups, reader, seed=plan.seed)
    rows, labels, weights = stack_open(tables)
    evidence = fit_logistic(rows, labels, weights, signs=list(PAIR_MODEL_SIGNS.values()))
    usual = find_usual_evidence(tables, evidence)
    calibration = {
        "evidence": dict(zip(PAIR_MODEL_SIGNS, evidence.weights.tolist(), strict=True)),
        "evidence_offset": evidence.offset,
        "usual_evidence": usual,
    }
    plan.out.write_text(json.dumps(calibration, indent=1) + "\n", encoding="utf-8")
    print(f"{plan.out}: usual evidence {usual:.2f}, {perf_counter() - begun:.0f} s in all")
