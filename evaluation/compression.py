"""`python -m evaluation.compression --data <folder>`: of
how many questions at the end of long chats the evidence is still sent.

Prints a Markdown table; `--json <file>` writes the same. Each question is put at the end of its
chat, and the product's own `compress` cuts it to each budget; a question counts when every message
that it takes to answer is still there (`evidence`).
"""

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

from evaluation.chats import Chat, Question, load
from evaluation.evidence import Sent
from evaluation.simple import SIMPLE, Cutter
from plans.snapshot import CompressionFocus, CompressionSettings
from proxy.core.compression.compress import compress
from proxy.core.compression.memo import Memo
from proxy.core.text.word_vectors import WordVectors
from proxy.core.types import Message
from proxy.engines.inference.exported_models import WORD_VECTORS_FILE

BUDGETS = (4096, 2048)
MODEL = "gpt-4o-mini"
# Bytes of what a worker remembers of texts. Each question is asked as if nobody had seen its chat
# but for the budget before.
REMEMBERED = 64_000_000
ENGINES: dict[str, tuple[str, CompressionFocus]] = {
    "text_rank": ("text_rank", "question"),
    "text_rank, focus none": ("text_rank", "none"),
    "trim": ("trim", "none"),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A question of a chat from `source`, answered `kept` or not by
    what `engine` sent within `budget`, in so many milliseconds."""

    engine: str
    budget: int
    source: str
    kept: bool
    milliseconds: float


def measure(data: Path, models: Path) -> dict[str, dict[str, Any]]:
    """By engine and budget the share of questions of each source whose evidence is sent,
    and by engine the median `seconds` of a cut. The chats go to all cores, so those seconds are not
    of a core alone."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = [
            outcome
            for outcomes in pool.map(partial(_of_chat, models=models), load(data))
            for outcome in outcomes
        ]
    return {
        engine: _figures([one for one in found if one.engine == engine])
        for engine in dict.fromkeys(one.engine for one in found)
    }


def render(figures: dict[str, dict[str, Any]]) -> str:
    """The figures as a Markdown table."""
    sources = sorted({source for found in figures.values() for source in found[str(BUDGETS[0])]})
    columns = [(str(budget), source) for budget in BUDGETS for source in sources]
    lines = [
        ["engine", *(f"{source} {budget}" for budget, source in columns), "s a cut"],
        ["---", *["---:"] * (len(columns) + 1)],
    ]
    for engine, found in figures.items():
        lines.append(
            [
                engine,
                *(f"{found[budget][source]:.3f}" for budget, source in columns),
                f"{found['seconds']:.3f}",
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table(models: Path) -> WordVectors | None:
    """The word table, where `prepare_embedder` has made it."""
    return (
        WordVectors.load(models / WORD_VECTORS_FILE)
        if (models / WORD_VECTORS_FILE).exists()
        else None
    )


def _of_chat(chat: Chat, models: Path) -> list[Outcome]:
    meanings = table(models)
    found: list[Outcome] = []
    for question in chat.questions:
        memory = Memo(REMEMBERED, word_vectors=meanings)
        cutters = {
            name: partial(_cut, memory, *chosen) for name, chosen in ENGINES.items()
        } | SIMPLE
        found += [
            _outcome(name, cut, budget, chat, question)
            for budget in BUDGETS
            for name, cut in cutters.items()
        ]
    return found


def _cut(
    memory: Memo, engine: str, focus: CompressionFocus, asked: list[Message], budget: int
) -> list[Message]:
    half = CompressionSettings(engine=engine, max_input_tokens=budget, focus=focus)
    return compress(asked, half, model=MODEL, memory=memory).messages or asked


def _outcome(engine: str, cut: Cutter, budget: int, chat: Chat, question: Question) -> Outcome:
    asked: list[Message] = [*chat.messages, {"role": "user", "content": question.text}]
    begun = time.perf_counter()
    sent = cut(asked, budget)
    took = 1000 * (time.perf_counter() - begun)
    there = Sent(sent)
    return Outcome(
        engine,
        budget,
        chat.source,
        all(there.has(chat.messages[index]["content"]) for index in question.evidence),
        took,
    )


def _figures(outcomes: list[Outcome]) -> dict[str, Any]:
    sources = sorted({one.source for one in outcomes})
    found: dict[str, Any] = {
        str(budget): {
            source: round(
                fmean(one.kept for one in outcomes if (one.budget, one.source) == (budget, source)),
                4,
            )
            for source in sources
        }
        for budget in BUDGETS
    }
    return found | {"seconds": round(median(one.milliseconds for one in outcomes) / 1000, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m evaluation.compression", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="a folder with long_chats.jsonl.gz"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--models",
        type=Path,
        default=Path("var/models"),
        help="where prepare_embedder has put its models",
    )
    arguments = parser.parse_args()
    begun = time.monotonic()
    figures = measure(arguments.data, arguments.models)
    seconds = round(time.monotonic() - begun, 1)
    print(f"Share of questions whose evidence is sent, {seconds:.0f} s\n\n{render(figures)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures | {"seconds": seconds}, indent=1))


if __name__ == "__main__":
    main()
