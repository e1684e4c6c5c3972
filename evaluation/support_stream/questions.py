"""The questions of the stream: rows of the FAQ stream that taught nothing, drawn again and again,
each as another customer types it."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.cache.figures import share
from evaluation.cache.sets import STREAM, Query, stream
from evaluation.support_stream.wordings import VERBATIM, vary_text
from evaluation.taught import is_taught

SEED = 20261201


def read_untaught(folder: Path) -> list[Query]:
    """The rows that the verifier has not learned from. Raises FileNotFoundError without any."""
    rows = [row for row in stream(folder) if not is_taught(row.text)]
    if not rows:
        raise FileNotFoundError(f"{folder} has no {STREAM}.jsonl.gz")
    return rows


def draw_questions(rows: Sequence[Query], count: int, *, seed: int = SEED) -> list[Query]:
    """So many, the same ones for the same seed; the group of each says how it was typed.

    Every row is as likely as every other: a question that the rows hold often is drawn often.
    """
    dice = random.Random(seed)
    drawn = [(row.intent, *vary_text(row.text, dice)) for row in dice.choices(rows, k=count)]
    return [Query(text, intent, edited) for intent, text, edited in drawn]


def describe_questions(asked: Sequence[Query]) -> dict[str, Any]:
    """`new_texts`: share never asked before in the stream; `answerable`: share whose intent was;
    `verbatim`: share that is a row word for word."""
    texts, intents = set[str](), set[str]()
    new = answerable = 0
    for query in asked:
        new += query.text not in texts
        answerable += query.intent in intents
        texts.add(query.text)
        intents.add(query.intent)
    return {
        "intents": len(intents),
        "verbatim": share(sum(query.group == VERBATIM for query in asked), len(asked)),
        "new_texts": share(new, len(asked)),
        "answerable": share(answerable, len(asked)),
    }
