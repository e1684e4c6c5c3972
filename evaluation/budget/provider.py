"""A provider whose answer depends on `metadata.truth`, which no cache key holds:
the detail that a cache cannot see.

An answer gives two numbers that belong to the truth alone, in one of three wordings by turns, as a
model would. It carries the truth in `system_fingerprint`, so that whoever receives it knows whether
it was meant for them.
"""

import hashlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from mock_providers import shapes
from mock_providers.server import Answer, Asked, MockProvider, serve_in_thread

_WORDINGS = (
    (
        "About {topic}: it takes {days} working days and costs {price} dollars. You find the form "
        "in the app under Account."
    ),
    (
        "It costs {price} dollars and takes {days} working days. This is about {topic}; the form "
        "is in the app, under Account."
    ),
    (
        "For {topic} please use the form under Account in the app. The price is {price} dollars, "
        "and it is done within {days} working days."
    ),
)


class TruthProvider(MockProvider):
    """Says what is true of `metadata.truth`."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self._turn = itertools.count()

    @property
    def requests(self) -> int:
        """How often it was asked."""
        return len(self.asked)

    def _answer(self, asked: Asked) -> Answer:
        truth = str((asked.body.get("metadata") or {}).get("truth", ""))
        turn = next(self._turn)
        said = shapes.build_completion(
            answer(truth, turn),
            id=f"chatcmpl-{turn}",
            created=1_760_000_000,
            model=asked.body["model"],
            usage=shapes.build_usage(20, 30),
            fingerprint=truth,
        )
        return Answer(completion=said)


def answer(truth: str, turn: int) -> str:
    """What is true of it, in the wording whose turn it is."""
    digest = hashlib.sha256(truth.encode()).digest()
    topic = truth.partition(" ")[0].rpartition("/")[2].replace("_", " ")
    return _WORDINGS[turn % len(_WORDINGS)].format(
        topic=topic, days=2 + digest[0] % 28, price=31 + int.from_bytes(digest[1:4]) % 9000
    )


@contextmanager
def providing() -> Iterator[tuple[str, TruthProvider]]:
    """The provider on a free port of the loopback interface, in a thread: its address with /v1."""
    provider = TruthProvider()
    with serve_in_thread(provider) as address:
        yield f"{address}/v1", provider
