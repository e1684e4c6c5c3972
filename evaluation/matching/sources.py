"""What the verifier may learn from: rows of the data folder whose licence asks for no more
than a name, of the trained half."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.split import BENCHMARKS, Side, Split, plain

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two questions, and whether the answer to one answers the other."""

    a: str
    b: str
    same: bool
    group: str


@dataclass(slots=True)
class Sources:
    """`pairs`: labelled, by side; `intents`: questions by side and intent;
    `texts`: questions to be edited, by side. `counts`: of the rows of each group, how many went
    where."""

    pairs: dict[Side, list[Pair]] = field(
        default_factory=lambda: {"train": [], "tune": [], "held": []}
    )
    intents: dict[Side, dict[str, list[str]]] = field(
        default_factory=lambda: {"train": {}, "tune": {}, "held": {}}
    )
    texts: dict[Side, list[str]] = field(
        default_factory=lambda: {"train": [], "tune": [], "held": []}
    )
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def taught(self) -> Iterator[str]:
        """Every text that teaches or tunes."""
        for side in ("train", "tune"):
            yield from (text for pair in self.pairs[side] for text in (pair.a, pair.b))
            yield from self.texts[side]


def read_sources(folder: Path) -> Sources:
    """The rows of `cache_pairs` and the distinct questions of `faq_stream`.

    Files named *_nc are never opened. Raises OSError.
    """
    rows, stream = rows_of(folder / "cache_pairs.jsonl.gz"), rows_of(folder / "faq_stream.jsonl.gz")
    split, found = Split(rows), Sources()
    for row in rows:
        side = split.row_side(row)
        if not is_free(row):
            found.counts[row["group"], "left out"] += 1
            continue
        found.counts[row["group"], side] += 1
        found.pairs[side].append(Pair(row["a"], row["b"], row["same"], row["group"]))
        if row["source"] != "paws":
            found.texts[side].append(row["a"])
    seen: set[str] = set()
    for row in stream:
        if plain(row["query"]) in seen:
            continue
        seen.add(plain(row["query"]))
        side = split.side(row["query"])
        found.counts["faq_stream", side] += 1
        found.texts[side].append(row["query"])
        if not row["intent"].startswith("oos"):
            found.intents[side].setdefault(row["intent"], []).append(row["query"])
    for texts in found.texts.values():
        texts[:] = dict.fromkeys(texts)
    return found


def is_free(row: Row) -> bool:
    """Whether a row may teach: not of a benchmark, and not derived from SGD (CC BY-SA).

    The generated rows do not say what they were made from: CLINC150 or SGD. CLINC150 is all in
    lower case and without a full stop, SGD is written in sentences; so what has a capital or ends a
    sentence is taken for SGD's.
    """
    if row["group"].startswith(BENCHMARKS):
        return False
    return row["source"] != "generated" or (row["a"].islower() and row["a"][-1:] not in ".!?")


def rows_of(path: Path) -> list[Row]:
    """The rows of one file of the folder. Raises OSError."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def table(counts: Counter[tuple[str, str]]) -> Iterable[str]:
    """One line a group: how many rows teach, tune, are held out, or were left out."""
    columns = ("train", "tune", "held", "left out")
    yield f"{'group':24}" + "".join(f"{name:>10}" for name in columns)
    for group in sorted({group for group, _ in counts}):
        yield f"{group:24}" + "".join(f"{counts[group, name]:10}" for name in columns)
    yield f"{'all':24}" + "".join(
        f"{sum(n for (_, side), n in counts.items() if side == name):10}" for name in columns
    )
