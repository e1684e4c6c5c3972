"""`make eval-matching`: which evidence tells a reworded question from another one, and its price.

Every decision is fitted on the same teaching pairs (questions written for this project, and rows of
the data's trained half) and judged on the same others: the rows that have taught nothing, and the
written groups of the other half. Rules refuse and equivalent texts are served before any of them.
Printed is the share of the right pairs that is served when so many of the traps are, each set by
its own threshold: how well a decision ranks, whatever its threshold.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from demo.workspace import MODELS
from evaluation.matching.logistic import fit_logistic
from evaluation.matching.nearness import find_near_texts, list_judging_texts
from evaluation.matching.pair_features import FEATURES, WORD_FEATURES, compute_features
from evaluation.matching.text_readings import TextReader
from evaluation.matching.written_sets import QuestionGroup, build_group_pairs, read_groups
from evaluation.split import BENCHMARKS
from evaluation.taught import is_taught
from evaluation.verifier.pairs import edited, neighbours, written
from evaluation.verifier.sources import Pair, read_sources, rows_of
from proxy.core.verification.equivalence import equivalent
from proxy.core.verification.rules.rule_registry import SURE_RULES, veto_question
from proxy.engines.verifiers.onnx import OnnxVerifier

TRAP_SHARES = (0.01, 0.02, 0.03, 0.05)
# The written groups, which are all hard, against all other teaching pairs together.
GROUP_WEIGHT = 0.4
# Pairs made of the trained half's questions: neighbours, edits, from templates.
NEIGHBOURS, EDITED, TEMPLATES = 3120, 2080, 400
SEED = 5
TIMED_PAIRS = 200

Floats = NDArray[np.float64]


@dataclass(slots=True)
class PairTable:
    """Pairs with what every decision looks at. `passed`: equivalent; `refused`: by a sure rule."""

    pairs: list[Pair]
    features: Floats
    passed: NDArray[np.bool_]
    refused: NDArray[np.bool_]

    @property
    def labels(self) -> NDArray[np.bool_]:
        return np.array([pair.same for pair in self.pairs])

    @property
    def is_open(self) -> NDArray[np.bool_]:
        """Whether neither texts nor rules have decided."""
        open_ones: NDArray[np.bool_] = ~self.passed & ~self.refused
        return open_ones


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m evaluation.matching", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of evaluation data")
    arguments = parser.parse_args()
    reader, groups = TextReader(MODELS), read_groups()
    judging = list_judging_texts(arguments.data)
    if near := find_near_texts(_list_texts(groups), judging, reader):
        lines = [f"  {text} | {other}" for text, other in near]
        print("A text that teaches is too near one that judges:", *lines, sep="\n", file=sys.stderr)
        return 1
    sets = {name: build_table(pairs, reader) for name, pairs in list_sets(arguments.data).items()}
    sets["written groups"] = build_table(
        build_group_pairs([group for group in groups if not group.teaches]), reader
    )
    compare_decisions(sets, teaching_tables(arguments.data, groups, reader))
    time_decisions(reader, sets["questions"].pairs[:TIMED_PAIRS])
    return 0


def list_sets(data: Path) -> dict[str, list[Pair]]:
    """List the pairs that have taught nothing, by set."""
    sets: dict[str, list[Pair]] = {"questions": [], "fow-cache": [], "PAWS": [], "Quora": []}
    for file in ("cache_pairs", "cache_pairs_nc"):
        path = data / f"{file}.jsonl.gz"
        for row in rows_of(path) if path.exists() else ():
            if is_taught(row["a"]) or is_taught(row["b"]):
                continue
            group = str(row["group"])
            name = (
                "Quora"
                if file.endswith("_nc")
                else "PAWS"
                if group.startswith("paws")
                else "fow-cache"
                if group.startswith(BENCHMARKS)
                else "questions"
            )
            sets[name].append(Pair(row["a"], row["b"], row["same"], group))
    return {name: pairs for name, pairs in sets.items() if pairs}


def teaching_tables(
    data: Path, groups: Sequence[QuestionGroup], reader: TextReader
) -> list[tuple[PairTable, float]]:
    """Build the tables that teach, with the weight of each."""
    sources, rng = read_sources(data), random.Random(SEED)

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        readings = reader.read(texts)
        return np.stack([readings[text].mean for text in texts])

    pairs = [*sources.pairs["train"], *sources.pairs["tune"], *written(TEMPLATES, rng)]
    for side, share in (("train", 0.77), ("tune", 0.23)):
        pairs += neighbours(sources.intents[side], embed, rng, count=int(NEIGHBOURS * share))  # type: ignore[index]
        pairs += edited(sources.texts[side], int(EDITED * share), rng)  # type: ignore[index]
    teachers = build_group_pairs([group for group in groups if group.teaches])
    return [(build_table(teachers, reader), GROUP_WEIGHT), (build_table(pairs, reader), 1.0)]


def build_table(pairs: Sequence[Pair], reader: TextReader) -> PairTable:
    readings = reader.read(text for pair in pairs for text in (pair.a, pair.b))
    refused = np.array([veto_question(pair.a, pair.b, SURE_RULES) is not None for pair in pairs])
    passed = np.array(
        [not bad and equivalent(pair.a, pair.b) for bad, pair in zip(refused, pairs, strict=True)]
    )
    features = np.array([compute_features(readings[pair.a], readings[pair.b]) for pair in pairs])
    return PairTable(list(pairs), features, passed, refused)


def compare_decisions(
    sets: dict[str, PairTable], teachers: Sequence[tuple[PairTable, float]]
) -> None:
    """Print for each decision what it serves of each set."""
    print(f"{'served of the right ones at traps of':36}", *sets, sep=" | ")
    shares = "/".join(f"{share:.0%}" for share in TRAP_SHARES)
    print(f"{shares:36}", *(f"{len(table.pairs)} pairs" for table in sets.values()), sep=" | ")
    cosine = FEATURES.index("mean_cosine")
    decisions: dict[str, Callable[[PairTable], Floats]] = {
        "shipped verifier": score_with_verifier,
        "cosine": lambda table: table.features[:, cosine],
    }
    for name, columns in (
        ("words", [FEATURES.index(each) for each in WORD_FEATURES]),
        ("words, cosine", [*(FEATURES.index(each) for each in WORD_FEATURES), cosine]),
        ("words, cosine, tokens", list(range(len(FEATURES)))),
    ):
        decisions[name] = fit_decision(teachers, columns)
    for name, decide in decisions.items():
        found = [describe_ranking(table, decide(table)) for table in sets.values()]
        print(f"{name:36}", *found, sep=" | ", flush=True)


def fit_decision(
    teachers: Sequence[tuple[PairTable, float]], columns: list[int]
) -> Callable[[PairTable], Floats]:
    """Fit the evidence of these columns to the open pairs that teach."""
    rows = np.vstack([table.features[table.is_open] for table, _ in teachers])[:, columns]
    labels = np.concatenate([table.labels[table.is_open] for table, _ in teachers])
    weights = np.concatenate(
        [np.full(table.is_open.sum(), weight / table.is_open.sum()) for table, weight in teachers]
    )
    fitted = fit_logistic(rows, labels, weights / weights.mean())
    return lambda table: fitted.weigh(table.features[:, columns])


def score_with_verifier(table: PairTable) -> Floats:
    """Score the open pairs with the shipped verifier, given their cosines."""
    return asyncio.run(_score_with_verifier(table))


async def _score_with_verifier(table: PairTable) -> Floats:
    verifier, scores = OnnxVerifier(MODELS), np.zeros(len(table.pairs))
    cosine = FEATURES.index("mean_cosine")
    for place in np.flatnonzero(table.is_open):
        pair, near = table.pairs[place], float(table.features[place, cosine])
        (scores[place],) = await verifier.score_questions(pair.a, [pair.b], similarities=[near])
    await verifier.close()
    return scores


def describe_ranking(table: PairTable, evidence: Floats) -> str:
    """Format the share of right pairs served at each of TRAP_SHARES."""
    ranked = np.where(table.passed, np.inf, np.where(table.refused, -np.inf, evidence))
    traps = np.sort(ranked[~table.labels])[::-1]
    right = ranked[table.labels]
    found = []
    for share in TRAP_SHARES:
        allowed = int(share * len(traps))
        found.append(float((right > traps[allowed]).mean()) if allowed < len(traps) else 1.0)
    return "/".join(f"{each:.3f}" for each in found)


def time_decisions(reader: TextReader, pairs: Sequence[Pair]) -> None:
    """Print the median milliseconds of each part."""
    readings = reader.read(text for pair in pairs for text in (pair.a, pair.b))
    sums, reads = [], []
    fresh = TextReader(MODELS)
    for pair in pairs:
        begun = time.perf_counter()
        compute_features(readings[pair.a], readings[pair.b])
        sums.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        fresh.read([pair.a])
        reads.append(time.perf_counter() - begun)
    print(f"All twelve numbers of a pair: {1000 * median(sums):.2f} ms (median of {len(sums)})")
    print(f"Reading one text with the model: {1000 * median(reads):.2f} ms")


def _list_texts(groups: Sequence[QuestionGroup]) -> list[str]:
    return [text for group in groups for text in (*group.wordings, *group.traps)]


if __name__ == "__main__":
    raise SystemExit(main())
