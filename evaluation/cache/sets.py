"""The labelled data: may the answer to one request be served for another?"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.core.types import Message

STREAM = "faq_stream"
# Name of a set, its file, and which of the file's groups belong to it. Files whose texts may not be
# used commercially may be absent.
FILES: tuple[tuple[str, str, bool | None], ...] = (
    ("questions", "cache_pairs", False),
    ("paws", "cache_pairs", True),
    ("cache_pairs_nc", "cache_pairs_nc", None),
    ("multiturn", "multiturn", None),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two requests; `same`: the answer to `stored` may be served for `asked`."""

    stored: list[Message]
    asked: list[Message]
    same: bool
    group: str


@dataclass(frozen=True, slots=True)
class Query:
    """One question of a stream; queries of one intent have one answer."""

    text: str
    intent: str
    group: str


def pairs(folder: Path) -> dict[str, list[Pair]]:
    """The sets of pairs in a data folder. Raises FileNotFoundError where there are none."""
    found = {
        name: [_pair(row) for row in _rows(folder, file) if paws in (None, _is_paws(row))]
        for name, file, paws in FILES
    }
    if not any(found.values()):
        raise FileNotFoundError(f"{folder} has no {FILES[0][1]}.jsonl.gz")
    return {name: rows for name, rows in found.items() if rows}


def stream(folder: Path) -> list[Query]:
    """The stream, in order; empty where there is none."""
    return [Query(row["query"], row["intent"], row["src"]) for row in _rows(folder, STREAM)]


def _rows(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    path = folder / f"{name}.jsonl.gz"
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def _is_paws(row: dict[str, Any]) -> bool:
    return str(row["group"]).startswith("paws")


def _pair(row: dict[str, Any]) -> Pair:
    return Pair(_messages(row["a"]), _messages(row["b"]), bool(row["same"]), row["group"])


def _messages(said: str | list[Message]) -> list[Message]:
    return [{"role": "user", "content": said}] if isinstance(said, str) else said
