"""The decisions that are compared: a plan's default, and what it is made of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from evaluation.cache.figures import Outcome, rates
from evaluation.cache.judge import Judge
from evaluation.cache.sets import STREAM, Pair, Query
from evaluation.cache.stream import Serves, replay
from evaluation.taught import is_taught
from proxy.core.formats.chat_completions import extract_text

COSINE, RULES, DEFAULT = "cosine", "cosine and rules", "default"


def unseen(
    sets: Mapping[str, Sequence[Pair]], queries: Sequence[Query]
) -> tuple[dict[str, list[Pair]], list[Query], dict[str, dict[str, int]]]:
    """What the verifier has not learned from, and by set how many rows are `scored`
    and `trained`."""
    kept = {
        name: [
            row for row in rows if not (is_taught(_last(row.asked)) or is_taught(_last(row.stored)))
        ]
        for name, rows in sets.items()
    }
    asked = [query for query in queries if not is_taught(query.text)]
    counts = {
        name: {"scored": len(kept[name]), "trained": len(rows) - len(kept[name])}
        for name, rows in sets.items()
    }
    if queries:
        counts[STREAM] = {"scored": len(asked), "trained": len(queries) - len(asked)}
    return kept, asked, counts


async def measure(
    models: Path, sets: Mapping[str, Sequence[Pair]], queries: Sequence[Query]
) -> tuple[dict[str, dict[str, Any]], float]:
    """Rates by decision and set, and the seconds of one second check, the median."""
    judge = Judge(models)
    await judge.read(
        [
            text
            for rows in sets.values()
            for row in rows
            for text in (_last(row.asked), _last(row.stored))
        ]
    )
    await judge.read([query.text for query in queries])
    found: dict[str, dict[str, Any]] = {COSINE: {}, RULES: {}, DEFAULT: {}}
    for name, rows in sets.items():
        for decision in (COSINE, RULES):
            near = [
                judge.near(_last(row.asked), _last(row.stored), rules=decision == RULES)
                for row in rows
            ]
            found[decision][name] = rates(_outcomes(rows, near))
        found[DEFAULT][name] = rates(
            _outcomes(rows, [await judge.serves(row.asked, row.stored) for row in rows])
        )
    if queries:
        for decision, serves in _second_checks(judge).items():
            vectors = judge.word_vectors if decision == DEFAULT else judge.vectors
            outcomes = [
                one
                async for one in replay(
                    queries, vectors, serves, floor=judge.floor, most=judge.most
                )
            ]
            found[decision][STREAM] = rates(outcomes)
    return found, round(median(judge.seconds), 5) if judge.seconds else 0.0


def _second_checks(judge: Judge) -> dict[str, Serves]:
    async def cosine(asked: str, stored: str, cosine: float) -> bool:
        return judge.near(asked, stored, rules=False)

    async def rules(asked: str, stored: str, cosine: float) -> bool:
        return judge.near(asked, stored, rules=True)

    async def default(asked: str, stored: str, cosine: float) -> bool:
        return await judge.serves(
            [{"role": "user", "content": asked}], [{"role": "user", "content": stored}]
        )

    return {COSINE: cosine, RULES: rules, DEFAULT: default}


def _outcomes(rows: Sequence[Pair], served: Sequence[bool]) -> list[Outcome]:
    return [
        Outcome(row.group, row.same, hit, row.same) for row, hit in zip(rows, served, strict=True)
    ]


def _last(messages: Sequence[dict[str, Any]]) -> str:
    return extract_text(messages[-1]) or ""
