"""The replay over the official SDK, through a small gateway that is wrong on purpose:
it serves by the final message alone."""

import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from demo.answers import label_of
from demo.figures import Bill, figures
from demo.processes import running
from demo.question import GUIDE_PLAN, Question
from demo.replay import ReplayError, client, origins, replay
from demo.upstream import DemoUpstream
from gateway_project.embedded.processes import find_free_port
from mock_providers.server import serve_in_thread

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
NOTHING = Bill(
    requests=0,
    exact_hits=0,
    semantic_hits=0,
    compressed=0,
    tokens_saved=0,
    cost_saved=None,
    tokens_before=0,
    tokens_after=0,
    completion_tokens=0,
    cost_before=None,
    cost_after=None,
)


class LooseGateway:
    """Keeps whole bodies by final message and shape, as a cache
    that forgets the conversation would."""

    def __init__(self) -> None:
        self.upstream = DemoUpstream(latency=0.02)
        self.kept: dict[tuple[str, bool], str] = {}
        self.fail = False

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = json.loads((await receive())["body"])
        assert "token_saving_plan_id" in body
        if self.fail:
            await send(
                {
                    "type": "http.response.start",
                    "status": 502,
                    "headers": [(b"content-type", b"application/json")],
                }
            )
            await send(
                {
                    "type": "http.response.body",
                    "body": (
                        b'{"error": {"message": "no upstream", "code": "upstream_unreachable"}}'
                    ),
                }
            )
            return
        key = (body["messages"][-1]["content"], bool(body.get("stream")))
        hit = key in self.kept
        body["metadata"] = {"label": self.kept.setdefault(key, label_of(body))}
        headers = [
            (b"x-tokenthrift-cache", b"semantic" if hit else b"miss"),
            (b"x-tokenthrift-overhead-ms", b"1.50"),
        ]

        labelled = iter([{"type": "http.request", "body": json.dumps(body).encode()}])

        async def read() -> MutableMapping[str, Any]:
            return next(labelled, None) or await receive()

        async def relay(event: MutableMapping[str, Any]) -> None:
            if event["type"] == "http.response.start":
                event = {**event, "headers": [*event["headers"], *headers]}
            await send(event)

        await self.upstream(scope, read, relay)


@pytest.fixture
def gateway() -> Iterator[tuple[LooseGateway, str]]:
    application = LooseGateway()
    with serve_in_thread(application) as address:
        yield application, address


def chat(history: str, label: str, *, stream: bool = False) -> Question:
    messages = [
        {"role": "user", "content": history},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": "Cancel it."},
    ]
    return Question(
        plan=GUIDE_PLAN,
        messages=messages,
        label=label,
        stream=stream,
        parameters={"temperature": 0},
    )


async def test_an_answer_made_for_another_conversation_is_a_wrong_hit(
    gateway: tuple[LooseGateway, str],
) -> None:
    _, url = gateway
    outcomes = []
    steps = []
    async with client(url, "key") as sdk:
        for question in (
            chat("gym", "gym"),
            chat("gym", "gym"),
            chat("broadband", "broadband"),
            chat("gym", "gym", stream=True),
        ):
            outcomes += await replay(sdk, [question], labelled=True, done=lambda: steps.append(1))
    found = figures(outcomes, NOTHING, origins(outcomes))
    assert len(steps) == found.requests == 4
    assert (found.semantic_hits, found.wrong_hits, found.unlabelled_hits) == (2, 1, 0)
    assert found.miss_added_p50_ms == 1.5
    assert outcomes[0].ms >= 20


async def test_every_question_is_sent_once_eight_at_a_time(
    gateway: tuple[LooseGateway, str],
) -> None:
    application, url = gateway
    questions = [
        Question(
            plan=GUIDE_PLAN,
            messages=[{"role": "user", "content": f"question {number}"}],
            label=str(number),
        )
        for number in range(40)
    ]
    started = time.perf_counter()
    async with client(url, "key") as sdk:
        outcomes = await replay(sdk, questions, labelled=True, done=lambda: None)
    assert sorted(outcome.question.label for outcome in outcomes) == sorted(
        question.label for question in questions
    )
    assert application.upstream.ledger["requests"] == 40
    assert time.perf_counter() - started < 40 * 0.02 + 5


async def test_a_refused_request_ends_the_replay_with_the_gateways_words(
    gateway: tuple[LooseGateway, str],
) -> None:
    application, url = gateway
    application.fail = True
    async with client(url, "key") as sdk:
        with pytest.raises(ReplayError, match=r"request 1 of 3 failed: .*no upstream"):
            await replay(sdk, [chat("a", "a")] * 3, labelled=True, done=lambda: None)


async def test_a_plain_provider_is_not_mistaken_for_the_gateway(tmp_path: Path) -> None:
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    command = ["-m", "demo.upstream", "--port", str(port), "--latency-ms", "0"]
    with running(
        "upstream",
        command,
        url=f"{url}/v1/models",
        log=tmp_path / "log",
        environment=os.environ,
        seconds=30,
    ):
        async with client(url, "key") as sdk:
            with pytest.raises(ReplayError, match="no x-tokenthrift-cache header"):
                await replay(sdk, [chat("a", "a")], labelled=False, done=lambda: None)
