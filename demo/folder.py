"""Somebody's own traffic: DATA=<folder or file> in place of the demo's.

`faq_stream` lines are {"query", "intent"}: two queries share an answer exactly when they share the
intent. `long_chats*` lines are {"id", "messages", "questions": [{"question"}]}: each question is
asked at the end of the whole history. Any other file holds chat requests, one {"messages": [...],
...} a line, of which only identical ones are known to share an answer. All are `.jsonl` or
`.jsonl.gz`.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from demo.question import FAQ_PLAN, GUIDE_PLAN, Message, Question

SUFFIXES = (".jsonl", ".jsonl.gz")
# Judged pairs: nothing that was ever sent in this order.
NOT_TRAFFIC = ("cache_pairs", "cache_pairs_nc", "multiturn")
OURS = ("messages", "model", "stream", "token_saving_plan_id")
Row = dict[str, Any]


class DataError(Exception):
    """The data cannot be replayed. The message names file and line."""


def load(path: Path) -> list[Question]:
    """All requests of a folder or file: FAQ stream first, then long chats,
    then other files by name. Raises DataError."""
    if not path.exists():
        raise DataError(f"DATA: {path} does not exist.")
    files = (
        [path]
        if path.is_file()
        else sorted(
            file
            for file in path.iterdir()
            if file.name.endswith(SUFFIXES) and _stem(file) not in NOT_TRAFFIC
        )
    )
    found = [question for file in files for question in _read(file)]
    if not found:
        raise DataError(
            f"DATA: {path} holds no request: wanted faq_stream, long_chats or other files of chat "
            "requests, .jsonl or .jsonl.gz."
        )
    return found


def _read(file: Path) -> Iterator[Question]:
    reader = _reader(_stem(file))
    for number, row in _rows(file):
        try:
            yield from reader(row)
        except (KeyError, TypeError, ValueError) as error:
            wanted = error.args[0] if error.args else "?"
            fault = (
                f"the field {wanted!r} is missing" if isinstance(error, KeyError) else str(error)
            )
            raise DataError(f"{file}:{number}: {fault}.") from None


def _reader(stem: str) -> Callable[[Row], Iterator[Question]]:
    if stem == "faq_stream":
        return _query
    return _long_chat if stem.startswith("long_chats") else _request


def _rows(file: Path) -> Iterator[tuple[int, Row]]:
    number = 1
    try:
        with gzip.open(file, "rb") if file.name.endswith(".gz") else file.open("rb") as lines:
            for line in lines:
                if line.strip():
                    yield number, _object(line)
                number += 1
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{file}:{number}: {error}.") from None


def _object(line: bytes) -> Row:
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    return row


def _query(row: Row) -> Iterator[Question]:
    yield Question(
        plan=FAQ_PLAN,
        messages=[{"role": "user", "content": _text(row, "query")}],
        label=_text(row, "intent"),
    )


def _long_chat(row: Row) -> Iterator[Question]:
    history, chat = _messages(row), _text(row, "id")
    first: dict[str, int] = {}  # the same text asked twice is one question
    for number, item in enumerate(row["questions"], 1):
        text = _text(item, "question")
        label = f"{chat} question {first.setdefault(text, number)}"
        yield Question(
            plan=GUIDE_PLAN, messages=[*history, {"role": "user", "content": text}], label=label
        )


def _request(row: Row) -> Iterator[Question]:
    parameters = {name: value for name, value in row.items() if name not in OURS}
    asked = json.dumps([_messages(row), parameters], sort_keys=True)
    yield Question(
        plan=GUIDE_PLAN,
        messages=row["messages"],
        label=hashlib.sha256(asked.encode()).hexdigest()[:16],
        differs=frozenset(),
        stream=bool(row.get("stream")),
        parameters=parameters,
    )


def _messages(row: Row) -> list[Message]:
    messages = row["messages"]
    if (
        not isinstance(messages, list)
        or not messages
        or not all(isinstance(message, dict) and "role" in message for message in messages)
    ):
        raise ValueError("messages must be a non-empty list of {role, content} objects")
    return messages


def _text(row: Row, name: str) -> str:
    value = row[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a non-empty text")
    return value


def _stem(file: Path) -> str:
    return file.name.removesuffix(".gz").removesuffix(".jsonl")
