"""`python -m evaluation.money --data <folder>`: what long chats cost with a provider
that caches prefixes, by how they are cut.

Prints a Markdown table; `--json <file>` writes the same. Each chat is replayed turn by turn, a
minute apart and once half an hour.
"""

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Any

from evaluation.bill import STRATEGIES, Bill, bills
from evaluation.chats import Chat, load
from evaluation.compression import table
from evaluation.replay import replay
from evaluation.rules import PUBLISHED, Rules
from plans.snapshot import CompressionSettings
from proxy.core.compression.turn_forecast import find_interval

BUDGET = 4096
RATIOS: tuple[float | None, ...] = (0.1, 0.25, 0.5, None)


def measure(
    data: Path, settings: CompressionSettings, rules: Rules, models: Path
) -> dict[str, dict[str, Any]]:
    """By price ratio ("none": nothing cached): the total of each strategy in input tokens,
    the worst chat of `saves` against `none` and of `always` against `every_turn`, the number of
    chats `saves` cut, and the share of questions whose evidence was sent, by strategy. Takes
    minutes, on all cores."""
    chats = load(data)
    before = list(accumulate(map(_turns, chats), initial=Counter[int]()))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = list(
            pool.map(
                partial(_billed, settings=settings, rules=rules, models=models), chats, before[:-1]
            )
        )
    return {
        str(ratio).lower(): _figures(bills)
        for ratio, bills in zip(RATIOS, zip(*found, strict=True), strict=True)
    }


def render(figures: dict[str, dict[str, Any]]) -> str:
    """The figures as a Markdown table."""
    head: tuple[str, ...] = (
        "cached price",
        *STRATEGIES,
        "worst chat, saves / none",
        "worst chat, always / every_turn",
        "chats cut by saves",
    )
    sources = sorted(next(iter(figures.values()))["evidence"]["none"])
    head += tuple(f"evidence {source}: {', '.join(STRATEGIES)}" for source in sources)
    lines = [head, ("---",) * len(head)]
    for ratio, found in figures.items():
        totals = [f"{found[name] / found['none']:.3f}" for name in STRATEGIES]
        worst = (
            f"{found['worst_chat_ratio']:.4f}",
            f"{found['worst_always_ratio']:.3f}",
            str(found["chats_cut"]),
        )
        kept = [
            ", ".join(f"{found['evidence'][name][source]:.3f}" for name in STRATEGIES)
            for source in sources
        ]
        lines.append((ratio, *totals, *worst, *kept))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _turns(chat: Chat) -> Counter[int]:
    return Counter(find_interval(turn) for turn in range(1, len(chat.requests()) + 1))


def _billed(
    chat: Chat, before: Counter[int], *, settings: CompressionSettings, rules: Rules, models: Path
) -> list[Bill]:
    return bills(replay(chat, settings, table(models)), rules, RATIOS, before, settings)


def _figures(found: Sequence[Bill]) -> dict[str, Any]:
    return {
        **{name: round(sum(bill.cost[name] for bill in found)) for name in STRATEGIES},
        "worst_chat_ratio": round(max(bill.cost["saves"] / bill.cost["none"] for bill in found), 4),
        "worst_always_ratio": round(
            max(bill.cost["always"] / bill.cost["every_turn"] for bill in found), 4
        ),
        "chats_cut": sum(bill.cut_at is not None for bill in found),
        "evidence": {name: _evidence(found, name) for name in STRATEGIES},
    }


def _evidence(found: Sequence[Bill], name: str) -> dict[str, float]:
    sources = {bill.source for bill in found}
    return {
        source: round(
            fmean(kept for bill in found if bill.source == source for kept in bill.kept[name]), 4
        )
        for source in sorted(sources)
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evaluation.money", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder with long_chats.jsonl.gz"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--provider", choices=PUBLISHED, default="openai", help="whose rules of caching to follow"
    )
    parser.add_argument("--engine", default="text_rank")
    parser.add_argument(
        "--models",
        type=Path,
        default=Path("var/models"),
        help="where prepare_embedder has put its models",
    )
    arguments = parser.parse_args()
    begun = time.monotonic()
    figures = measure(
        arguments.data,
        CompressionSettings(engine=arguments.engine, max_input_tokens=BUDGET),
        PUBLISHED[arguments.provider],
        arguments.models,
    )
    print(
        f"Cost against none: budget {BUDGET}, rules of {arguments.provider}, "
        f"{time.monotonic() - begun:.0f} s\n\n{render(figures)}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
