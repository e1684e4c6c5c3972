"""`make eval-matching`: which evidence tells a reworded question from another one, and its price.

Every decision is fitted on the same teaching pairs (questions written for this project, and rows of
the data's trained half) and judged on the same others: the rows that have taught nothing, and the
written groups of the other half. Rules refuse and equivalent texts are served before any of them.
Printed is the share of the right pairs that is served when so many of the traps are, each set by
its own threshold: how well a decision ranks, whatever its threshold.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from demo.workspace import MODELS
from evaluation.matching.operating_points import weigh_table, write_operating_points
from evaluation.matching.readings import PairReader
from evaluation.matching.sources import Pair, read_sources
from evaluation.matching.tables import (
    Floats,
    PairTable,
    build_table,
    build_teaching_tables,
    list_judging_sets,
)
from evaluation.matching.train import Tables, TooNear, fit_columns, refuse_near_texts
from evaluation.matching.written_sets import build_group_pairs, read_groups
from proxy.core.verification.pair_features import FEATURES
from proxy.engines.verifiers.weights import load_learned_weights

TRAP_SHARES = (0.01, 0.02, 0.03, 0.05)
TIMED_PAIRS = 200
COSINE = FEATURES.index("mean_cosine")
DECISIONS: tuple[tuple[str, list[int]], ...] = (
    ("the worst word", [0]),
    ("cosine", [COSINE]),
    ("the worst word, cosine", [0, COSINE]),
    ("all six", list(range(len(FEATURES)))),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m evaluation.matching", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of evaluation data")
    parser.add_argument(
        "--write",
        action="store_true",
        help="write the thresholds that have names, and what they serve, for plans and docs",
    )
    arguments = parser.parse_args()
    data = arguments.data
    reader, groups = PairReader(MODELS), read_groups()
    try:
        refuse_near_texts(groups, data, reader)
    except TooNear as error:
        print(f"Texts that teach are too near others that judge:\n{error}", file=sys.stderr)
        return 1
    judging = list_judging_sets(data)
    judging["written groups"] = build_group_pairs([each for each in groups if not each.teaches])
    sets = {name: build_table(pairs, reader) for name, pairs in judging.items()}
    teachers = build_teaching_tables(read_sources(data), groups, reader, seed=5)
    compare_decisions(sets, teachers)
    print_operating_points(sets)
    if arguments.write:
        write_operating_points(sets, teachers)
    time_reading(judging["questions"][:TIMED_PAIRS])
    return 0


def compare_decisions(sets: dict[str, PairTable], teachers: Tables) -> None:
    """Print for each decision what it serves of each set."""
    print(f"{'served of the right at traps of':36}", *sets, sep=" | ")
    shares = "/".join(f"{share:.0%}" for share in TRAP_SHARES)
    print(f"{shares:36}", *(f"{len(table.pairs)} pairs" for table in sets.values()), sep=" | ")
    for name, columns in DECISIONS:
        fitted = fit_columns(teachers, columns)
        found = [
            describe_ranking(table, fitted.weigh(table.features[:, columns]))
            for table in sets.values()
        ]
        print(f"{name:36}", *found, sep=" | ", flush=True)


def describe_ranking(table: PairTable, evidence: Floats) -> str:
    """Format the share of right pairs served at each of TRAP_SHARES."""
    ranked = table.rank(evidence)
    traps = np.sort(ranked[~table.labels])[::-1]
    right = ranked[table.labels]
    found = []
    for share in TRAP_SHARES:
        allowed = int(share * len(traps))
        found.append(float((right > traps[allowed]).mean()) if allowed < len(traps) else 1.0)
    return "/".join(f"{each:.3f}" for each in found)


def print_operating_points(sets: dict[str, PairTable]) -> None:
    """Print what the committed weights serve around the usual threshold."""
    weights = load_learned_weights()
    print("\nevidence | wrong of the hits, recall, traps served")
    for more in (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5):
        least, cells = weights.usual_evidence + more, []
        for table in sets.values():
            served, same = table.rank(weigh_table(table, weights)) >= least, table.labels
            wrong = (served & ~same).sum()
            cells.append(
                f"{wrong / max(1, served.sum()):.3f} {(served & same).sum() / same.sum():.3f} "
                f"{wrong / (~same).sum():.3f}"
            )
        print(f"{least:8.2f}", *cells, sep=" | ")


def time_reading(pairs: Sequence[Pair]) -> None:
    """Print the median milliseconds of reading a text, and of comparing two that were read."""
    reader, reads, sums = PairReader(MODELS), [], []
    for pair in pairs:
        begun = time.perf_counter()
        reader.read([pair.a])
        reads.append(time.perf_counter() - begun)
        reader.read([pair.b])
        begun = time.perf_counter()
        reader.compute_features(pair.a, pair.b)
        sums.append(time.perf_counter() - begun)
    print(f"Reading a text: {1000 * median(reads):.2f} ms (median of {len(reads)})")
    print(f"The four numbers of a pair: {1000 * median(sums):.2f} ms")


if __name__ == "__main__":
    raise SystemExit(main())
