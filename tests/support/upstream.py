"""An OpenAI-shaped upstream that says what a test tells it to, on a real socket,
in a thread of the test process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from mock_providers import shapes
from mock_providers.server import Answer, Asked, MockProvider, serve_in_thread
from proxy.core.formats import sse


def completion(
    text: str = "Pay by card.", *, finish: str = "stop", **message: Any
) -> dict[str, Any]:
    """A whole `chat.completion` as OpenAI sends one, usage included."""
    return shapes.build_completion(
        text,
        id="chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        created=1741569952,
        model="gpt-4o-mini-2024-07-18",
        usage=shapes.build_usage(19, 10),
        finish=finish,
        **message,
    )


class MockUpstream(MockProvider):
    """`says`: the next answers' completion; `makes`: one made from the request instead;
    `status`/`body`: an error instead; `refuses`: why messages are answered with 400, "" where they
    are not; `pause`: seconds between stream events, and before what is sent whole; `stop_after`:
    events after which a stream ends; `requests`: the bodies so far.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(self._answer)
        self.port = port
        self.says = completion()
        self.makes: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        self.status = 200
        self.body = b""
        self.refuses: Callable[[list[Any]], str] = lambda messages: ""
        self.pause = 0.0
        self.stop_after: int | None = None
        self.requests: list[dict[str, Any]] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def forget(self) -> None:
        """Be as at first, on the same port."""
        vars(self).update(vars(MockUpstream(self.port)) | {"script": self._answer})

    @property
    def callers(self) -> list[int]:
        """From which port each request came."""
        return [asked.caller for asked in self.asked]

    def _answer(self, asked: Asked) -> Answer:
        if asked.method == "GET":
            return Answer(body=b'{"object": "list", "data": [{"id": "gpt-4o-mini"}]}')
        self.requests.append(asked.body)
        if reason := self.refuses(asked.body.get("messages", [])):
            return Answer(status=400, body=shapes.build_error(reason))
        if self.status != 200:
            return Answer(status=self.status, body=self.body)
        said = self.makes(asked.body) if self.makes else self.says
        if not asked.wants_stream:
            return Answer(completion=said, delay=self.pause)
        return Answer(
            completion=said,
            events=sse.replay_completion(said, include_usage=asked.wants_usage),
            event_delay=self.pause,
            max_events=self.stop_after,
        )


@contextmanager
def running_upstream() -> Iterator[MockUpstream]:
    """The upstream, listening on a free port until the block ends."""
    upstream = MockUpstream()
    with serve_in_thread(upstream) as address:
        upstream.port = urlsplit(address).port or 0
        yield upstream
