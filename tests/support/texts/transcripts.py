"""Transcripts of a cut chat read as a strict reader would:
whatever begins a line with a speaker's name is that speaker's turn."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from proxy.core.compression.counted_chat import CountedChat
from proxy.core.compression.layout import BLOCK_HEADING, RETRIEVAL_HEADING, frozen_boundary
from proxy.core.compression.units import find_final_turn, split_units
from proxy.core.tokens import count_message_tokens

Message = dict[str, Any]

# Wherever a reader may see a new line.
_LINE = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_LABEL = re.compile(r"[^\w>]*([\w .]{1,40}?)\W*[:：]")
ROLES = {"user": "User", "assistant": "Assistant", "tool": "Tool"}


def is_transcript(message: Message) -> bool:
    content = message["content"]
    return (
        set(message) == {"role", "content"}
        and isinstance(content, str)
        and content.startswith((BLOCK_HEADING + "\n", RETRIEVAL_HEADING + "\n"))
    )


def said(message: Message) -> Iterator[tuple[str, str]]:
    """(speaker, text) of a message as a transcript may quote it, white space and marks left out."""
    name = message.get("name")
    speaker = name if name in ("Ann", "Bob Lee", "Ann\nUser") else ROLES[message["role"]]
    content = message.get("content") or ""
    words = (
        [content] if isinstance(content, str) else [part.get("text", "[image]") for part in content]
    )
    calls = [
        f"[calls {call['function']['name']}({call['function']['arguments']})]"
        for call in message.get("tool_calls", ())
    ]
    yield " ".join(speaker.split()), squeezed("".join([*words, *calls]))


def squeezed(text: str) -> str:
    return re.sub(r"[\s>…]", "", text)


def turns(message: Message, names: set[str]) -> list[tuple[str, list[str]]]:
    """(speaker, what was said between two gaps) of a transcript.

    `names`: of all who may speak in it.
    """
    known = {name.casefold(): name for name in names}
    head, _, body = message["content"].partition("\n")
    assert head in (BLOCK_HEADING, RETRIEVAL_HEADING)
    found: list[tuple[str, list[str]]] = []
    for line in _LINE.split(body):
        assert not re.match(
            r"\W*\[\s*(from )?earlier in this conversation", line, re.IGNORECASE
        ) or line.lstrip().startswith(">"), line
        label = _LABEL.match(line)
        speaker = known.get(" ".join(re.findall(r"\w+", label[1])).casefold()) if label else None
        if label and speaker:
            assert line.startswith(f"{speaker}: "), line
            found.append((speaker, line[label.end() :].split("…")))
        elif found:
            found[-1][1].extend(line.split("…"))
        else:
            assert line == "…", line
    return [
        (speaker, [text for part in parts if (text := squeezed(part))]) for speaker, parts in found
    ]


@lru_cache(maxsize=10_000)  # of a chat that grows by a turn all but the last are counted already
def _count_tokens(message: str) -> int:
    return count_message_tokens(json.loads(message), "o200k_base")


def marked(chat: list[Message], budget: int) -> int:
    """Where the mark is in a chat."""
    counts = [_count_tokens(json.dumps(message)) for message in chat]
    draft = CountedChat(
        chat,
        split_units(chat),
        find_final_turn(chat, split_units(chat)),
        counts,
        "o200k_base",
        budget,
    )
    return frozen_boundary(draft.unit_tokens, budget)


def block(messages: list[Message]) -> str:
    return next(
        (
            m["content"]
            for m in messages
            if is_transcript(m) and m["content"].startswith(BLOCK_HEADING)
        ),
        "",
    )


def prefix(messages: list[Message]) -> list[Message]:
    """What stands before the recalled, or before the final message."""
    ends = [
        i
        for i, m in enumerate(messages)
        if is_transcript(m) and m["content"].startswith(RETRIEVAL_HEADING)
    ]
    return messages[: ends[0] if ends else len(messages) - 1]
