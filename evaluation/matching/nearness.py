"""Whether a text that teaches is as good as one that judges.

Both may come of like minds: "How do I delete my account?" was written twice by chance.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from evaluation.matching.readings import PairReader

MAX_TEACHING_COSINE = 0.90  # of all-MiniLM-L6-v2, between a text that teaches and one that judges
SHORTEST_WORDS = 4  # "All right." is nobody's
BLOCK_ROWS = 512
FILES = ("cache_pairs", "cache_pairs_nc", "faq_stream", "multiturn")


def list_judging_texts(data: Path) -> list[str]:
    """List every text of the folder's questions and chats; a file may be absent."""
    texts: set[str] = set()
    for name in FILES:
        path = data / f"{name}.jsonl.gz"
        if path.exists():
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                texts.update(_iter_texts(map(json.loads, lines)))
    return sorted(texts)


def find_near_texts(
    teaching: Sequence[str], judging: Sequence[str], reader: PairReader
) -> list[tuple[str, str]]:
    """Return each teaching text of some words that is too near a judging one, with that one."""
    if not judging:
        return []
    written = [text for text in dict.fromkeys(teaching) if len(text.split()) >= SHORTEST_WORDS]
    others = reader.stack_means(judging)
    found = []
    for start in range(0, len(written), BLOCK_ROWS):
        block = written[start : start + BLOCK_ROWS]
        cosines = reader.stack_means(block) @ others.T
        found += [
            (text, judging[int(row.argmax())])
            for text, row in zip(block, cosines, strict=True)
            if row.max() >= MAX_TEACHING_COSINE
        ]
    return found


def _iter_texts(rows: Iterable[dict[str, object]]) -> Iterator[str]:
    for row in rows:
        for value in (row.get("a"), row.get("b"), row.get("query")):
            if isinstance(value, str):
                yield value
            elif isinstance(value, list):
                yield from (str(message["content"]) for message in value)
