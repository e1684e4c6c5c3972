"""Long chats with questions whose evidence is known."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.core.types import Message

# The second file holds texts that may not be used commercially, and may be absent.
FILES = ("long_chats.jsonl.gz", "long_chats_nc.jsonl.gz")


@dataclass(frozen=True, slots=True)
class Question:
    """What may be asked at the end of a chat, the messages, by index, that it takes to answer,
    and the reference answer, or ""."""

    text: str
    evidence: tuple[int, ...]
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Chat:
    """`source`: what kind of chat it is."""

    id: str
    source: str
    messages: list[Message]
    questions: tuple[Question, ...]

    def requests(self) -> list[list[Message]]:
        """What a client sent turn by turn: the chat up to each user message that was answered,
        and to the last one."""
        ends = range(1, len(self.messages) + 1)
        return [self.messages[:end] for end in ends if self._asks(end - 1) and not self._asks(end)]

    def _asks(self, index: int) -> bool:
        return index < len(self.messages) and self.messages[index]["role"] == "user"


def load(folder: Path) -> list[Chat]:
    """The chats of a data folder. Raises FileNotFoundError where there are none."""
    found = [_chat(row) for name in FILES for row in _rows(folder / name)]
    if not found:
        raise FileNotFoundError(f"{folder} has no {FILES[0]}")
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def _chat(row: dict[str, Any]) -> Chat:
    questions = tuple(
        Question(one["question"], tuple(one["evidence"]), str(one.get("answer", "")))
        for one in row["questions"]
    )
    return Chat(row["id"], row["source"], row["messages"], questions)
