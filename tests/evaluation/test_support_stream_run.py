"""A few seconds of `make eval-stream` through two workers of a real gateway."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks import machine
from benchmarks.tally import Tally
from demo.management_api import bill
from demo.upstream import DemoUpstream
from evaluation.cache.sets import Query
from evaluation.support_stream.figures import summarize_replies
from evaluation.support_stream.questions import draw_questions
from evaluation.support_stream.resources import read_memory
from evaluation.support_stream.traffic import send_questions
from mock_providers.server import serve_in_thread
from tests.support.gateways import Gateway, running_gateway
from tests.support.upstream import MockUpstream

PLAN, RATE, LATENCY = "support", 40.0, 0.05
TEXTS = {
    "card_lost": ("What do I do when my card is lost?", "How do I report a lost card?"),
    "change_pin": ("How do I change the PIN of a card?", "Where can a PIN be changed?"),
    "top_up_fee": ("Is there a fee for topping up?", "What does topping up by card cost?"),
    "opening_hours": ("When are branches open on holidays?", "Which branches open on Sunday?"),
    "exchange_rate": ("Which exchange rate is used abroad?", "How is the exchange rate set?"),
    "close_account": ("How does one close an account?", "Can an account be closed online?"),
}
ROWS = [Query(text, intent, "bank") for intent, texts in TEXTS.items() for text in texts]
ASKED = draw_questions(ROWS, 200)


@pytest.fixture(scope="module")
def provider() -> DemoUpstream:
    return DemoUpstream(latency=LATENCY)


@pytest.fixture(scope="module")
def two_workers(
    provider: DemoUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    with serve_in_thread(provider) as address:
        upstream = MockUpstream(urlsplit(address).port or 0)  # the address alone
        with running_gateway(upstream, folder, workers=2) as gateway:
            made = {"plan_name": PLAN, "cache": {}}
            gateway.api("POST", "/token-saving/plans", json=made).raise_for_status()
            gateway.wait_plan(PLAN)
            yield gateway


def test_both_workers_serve_the_stream_and_all_who_counted_agree(
    two_workers: Gateway, provider: DemoUpstream
) -> None:
    before = [machine.cpu_seconds(pid) for pid in two_workers.worker_pids()]
    tally, called = Tally(), provider.ledger["requests"]
    replies = send_questions(
        two_workers.url,
        ASKED,
        key=two_workers.virtual_key,
        plan=PLAN,
        rate=RATE,
        tally=tally,
    )
    found = summarize_replies(ASKED, replies, provider_seconds=LATENCY)
    assert (found["requests"], found["errors"], found["served_wrong"]) == (200, 0, [])
    hits = found["hits"]
    assert hits["exact"] > 50
    assert hits["semantic"] > 5
    assert provider.ledger["requests"] - called == 200 - hits["exact"] - hits["semantic"]
    assert found["latency_ms"]["added_to_calls"]["p50"] > 0
    assert found["latency_ms"]["exact"]["p50"] < 1000 * LATENCY
    shown = bill(two_workers.url, two_workers.admin_key, PLAN, requests=len(set(tally.ids)))
    assert (shown.exact_hits, shown.semantic_hits) == (hits["exact"], hits["semantic"])
    after = [machine.cpu_seconds(pid) for pid in two_workers.worker_pids()]
    assert min(now - then for now, then in zip(after, before, strict=True)) > 0.1
    assert all(mb > 50 for mb in read_memory(two_workers.process.pid))


def test_without_a_plan_every_question_is_a_call(
    two_workers: Gateway, provider: DemoUpstream
) -> None:
    called = provider.ledger["requests"]
    replies = send_questions(
        two_workers.url,
        ASKED[:40],
        key=two_workers.virtual_key,
        plan=None,
        rate=RATE,
        tally=Tally(),
    )
    assert {reply.tier for reply in replies} == {"bypass"}
    assert provider.ledger["requests"] - called == 40
