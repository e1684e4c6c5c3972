"""A provider that keeps its own books: every call with the id it came with,
its tokens and what it costs. `GET /ledger` shows them.

It bills the prompt once it has read it and what it said until it was done or nobody listened. Words
in a question tell it what to do: `[error]` answers 500 and bills nothing, `[cut]` breaks a stream
off in the middle, `[slow]` takes its time. Every other prompt is found half in its prefix cache and
costs less. Prices are dollars for a million tokens, written down here a second time on purpose.
"""

import asyncio
import hashlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mock_providers import shapes
from mock_providers.server import Answer, Asked, MockProvider, serve_in_thread
from proxy.core.tokens import count_prompt_tokens, count_text, find_encoding

PRICES = {  # input, input from the prefix cache, output
    "gpt-4o-mini": (Decimal("0.15"), Decimal("0.075"), Decimal("0.60")),
    "gpt-4o": (Decimal("2.50"), Decimal("1.25"), Decimal("10.00")),
    "gpt-4.1-nano": (Decimal("0.10"), Decimal("0.025"), Decimal("0.40")),
}
PIECES = 6  # of a streamed answer
BRISK, SLOW = 0.002, 0.15  # seconds before the answer and between its pieces


@dataclass(slots=True)
class Entry:
    """One call in the books."""

    id: str
    model: str
    prompt: int = 0
    cached: int = 0
    said: str = ""

    def completion(self) -> int:
        return count_text(self.said, find_encoding(self.model)[0]) if self.said else 0

    def row(self) -> dict[str, Any]:
        full, read, out = PRICES[self.model]
        completion = self.completion()
        cost = (
            full * (self.prompt - self.cached) + read * self.cached + out * completion
        ) / 1_000_000
        return {
            "id": self.id,
            "model": self.model,
            "prompt_tokens": self.prompt,
            "completion_tokens": completion,
            "cost_usd": f"{cost:f}",
        }


class BookkeepingProvider(MockProvider):
    """`books`: every call it began, in order."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.books: list[Entry] = []
        self._numbers = itertools.count()

    async def _answer(self, asked: Asked) -> Answer:
        if asked.path == "/ledger":
            calls = await asyncio.to_thread(lambda: [entry.row() for entry in list(self.books)])
            return Answer(body={"calls": calls})
        entry = Entry(asked.headers[b"x-request-id"].decode(), asked.body["model"])
        self.books.append(entry)
        question = str(asked.body["messages"][-1]["content"])
        if "[error]" in question:
            return Answer(
                status=500, body=shapes.build_error("The model is overloaded.", kind="server_error")
            )
        return self._complete(asked, entry, question)

    def _complete(self, asked: Asked, entry: Entry, question: str) -> Answer:
        entry.prompt = count_prompt_tokens(asked.body["messages"], find_encoding(entry.model)[0])
        digest = hashlib.sha256(question.encode()).hexdigest()
        entry.cached = entry.prompt // 2 if digest[0] < "8" else 0
        text = (
            f"This is known about {digest[:12]}: it takes {int(digest[:4], 16)} steps, and the "
            f"last of them is number {digest[12:24]}."
        )
        words = text.split(" ")
        step = -(-len(words) // PIECES)
        pieces = list(shapes.iter_pieces(text, step))
        said = shapes.build_completion(
            text,
            id=f"chatcmpl-{next(self._numbers)}",
            created=1_760_000_000,
            model=entry.model,
            usage=shapes.build_usage(
                entry.prompt, count_text(text, find_encoding(entry.model)[0]), cached=entry.cached
            ),
        )

        def note(number: int) -> None:
            """What went out is billed: the role comes before the pieces, the finish after them."""
            entry.said = "".join(pieces[:number]) if asked.wants_stream else text

        pause, cut = SLOW if "[slow]" in question else BRISK, "[cut]" in question
        chunks = shapes.iter_chunks(said, include_usage=asked.wants_usage, words=step)
        return Answer(
            completion=said,
            events=shapes.encode_events(chunks),
            delay=pause,
            event_delay=pause,
            # The role, and the pieces that begin in the first half.
            max_events=1 + -(-(len(words) // 2) // step) if cut else None,
            breaks=cut,
            sent=note,
        )


@contextmanager
def providing() -> Iterator[tuple[str, BookkeepingProvider]]:
    """The provider on a free port of the loopback interface, in a thread:
    its address, without path."""
    provider = BookkeepingProvider()
    with serve_in_thread(provider) as address:
        yield address, provider
