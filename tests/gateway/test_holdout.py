"""Chats and repeated questions through a gateway that holds some out:
the measured saving is that of the provider's bills."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
import orjson
import pytest

from plans.pricing import Price
from tests.support.gateways import ROUTE, Gateway, running_gateway
from tests.support.upstream import MockUpstream, completion, running_upstream

# gpt-4o-mini, as seeded.
PRICE = Price(input=Decimal("0.15"), output=Decimal("0.6"), cached_input=Decimal("0.075"))
PLAN = {"cache": {"backend": None}, "compression": {"engine": "trim", "max_input_tokens": 2048}}
WORDS = (
    "invoice",
    "refund",
    "delivery",
    "password",
    "printer",
    "contract",
    "colour",
    "train",
    "weather",
    "garden",
    "meeting",
    "budget",
)
Message = dict[str, str]


@dataclass
class Biller:
    """What a provider that keeps prefixes bills, in tokens of four characters."""

    seen: set[bytes] = field(default_factory=set)
    dollars: Decimal = Decimal(0)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, asked: dict[str, Any]) -> dict[str, Any]:
        texts = [orjson.dumps(message) for message in asked["messages"]]
        prefixes = [b"".join(texts[:end]) for end in range(1, len(texts) + 1)]
        with self.lock:
            warm = max((len(prefix) // 4 for prefix in prefixes if prefix in self.seen), default=0)
            self.seen.update(prefixes[-1:])
            prompt, cached = len(prefixes[-1]) // 4, warm // 128 * 128 if warm >= 1024 else 0
            self.dollars += PRICE.compute_cost(prompt=prompt, completion=50, cached=cached)
        usage = {"prompt_tokens": prompt, "completion_tokens": 50, "total_tokens": prompt + 50}
        return completion(reply(asked["messages"])) | {
            "usage": usage | {"prompt_tokens_details": {"cached_tokens": cached}}
        }


def reply(messages: list[Message]) -> str:
    """The same to the same last message, whatever was cut before it."""
    return f"Here is what I know of it: {messages[-1]['content'][:40]}. " * 3


@dataclass(frozen=True)
class Visit:
    """What one person asks, turn by turn."""

    user: str
    turns: tuple[str, ...]


def traffic(chats: int, questions: int, *, seed: int, turns: int = 20) -> list[Visit]:
    """Chats of up to so many turns, some much longer-winded than others,
    among long questions that many people ask."""
    dice = random.Random(seed)

    def text(words: int) -> str:
        return " ".join(dice.choice(WORDS) for _ in range(words)) + f" {dice.randrange(10**6)}?"

    known = [text(300) for _ in range(60)]
    visits = [
        Visit(
            f"chatter {number}",
            tuple(text(round(dice.lognormvariate(4, 0.8))) for _ in range(dice.randint(1, turns))),
        )
        for number in range(chats)
    ]
    visits += [
        Visit(f"asker {number}", (known[int(dice.paretovariate(0.7)) % 60],))
        for number in range(questions)
    ]
    dice.shuffle(visits)
    return visits


def play(
    gateway: Gateway, upstream: MockUpstream, visits: list[Visit], plan: str | None
) -> Decimal:
    """Send all of it; what the provider billed."""
    biller = upstream.makes = Biller()
    headers = {"authorization": f"Bearer {gateway.virtual_key}"}
    with httpx.Client(base_url=gateway.url, headers=headers, timeout=60) as client:

        def visit(one: Visit) -> None:
            messages: list[Message] = []
            for turn in one.turns:
                messages.append({"role": "user", "content": turn})
                body = {"model": ROUTE, "user": one.user, "messages": messages} | (
                    {"token_saving_plan_id": plan} if plan else {}
                )
                answer = client.post("/v1/chat/completions", json=body)
                assert answer.status_code == 200, answer.text
                messages.append(
                    {
                        "role": "assistant",
                        "content": answer.json()["choices"][0]["message"]["content"],
                    }
                )

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(visit, visits))
    return biller.dollars


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, MockUpstream]]:
    with (
        running_upstream() as upstream,
        running_gateway(upstream, tmp_path_factory.mktemp("holdout")) as gateway,
    ):
        yield gateway, upstream


def compared(
    gateway: Gateway, upstream: MockUpstream, visits: list[Visit], share: float
) -> tuple[float, dict[str, Any]]:
    """The share really saved of these visits, and what the plan's statistics say of them
    when it holds some out."""
    for name, fields in (("whole", {}), ("measured", {"holdout": share})):
        made = gateway.api("POST", "/token-saving/plans", json={"plan_name": name} | PLAN | fields)
        assert made.status_code == 201, made.text
        gateway.wait_plan(name)
    without, treated = (play(gateway, upstream, visits, plan) for plan in (None, "whole"))
    play(gateway, upstream, visits, "measured")
    found = gateway.stats("measured", requests=sum(len(visit.turns) for visit in visits))
    return float(1 - treated / without), found


def test_the_measured_saving_is_the_true_one(running: tuple[Gateway, MockUpstream]) -> None:
    true, found = compared(*running, traffic(40, 300, seed=3, turns=10), 0.5)
    told = found["detail"]["holdout"]
    assert told["share"] is not None, told
    assert told["held"] + told["treated"] == found["total_requests"]
    assert told["held"] == found["detail"]["bypass_reasons"]["holdout"]
    # The lots are this instance's own: twice the interval, which is four standard errors, is left
    # one time in ten thousand.
    assert abs(told["share"]["value"] - true) < told["share"]["high"] - told["share"]["low"]
    # What is held out leaves no answers behind for others, so the plan saves less than if half of
    # the chats were not.
    assert abs(told["modelled_share"] - true) < 0.2
    assert true > 0.1
