"""The parts of `make eval-stream` that need no gateway: questions, sending, figures."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import orjson
import pytest

from benchmarks.tally import Tally
from benchmarks.wire import post
from demo.answers import answer
from evaluation.cache.sets import Query
from evaluation.support_stream import wordings
from evaluation.support_stream.figures import split_quarters, summarize_replies
from evaluation.support_stream.questions import describe_questions, draw_questions
from evaluation.support_stream.table import render_edits, render_table
from evaluation.support_stream.traffic import Reply, read_reply, send_requests
from evaluation.support_stream.wordings import TWO_EDITS, VERBATIM

TEXTS = {
    "bank/lost": "I'm afraid my card is lost, what do I do?",
    "bank/late": "Why has my transfer not arrived yet?",
    "oos:7": "sing me a song",
}
ROWS = [Query(text, intent, "bank") for intent, text in TEXTS.items()]


def dice() -> random.Random:
    return random.Random(1)


def test_the_same_seed_draws_the_same_questions() -> None:
    drawn = draw_questions(ROWS, 500)
    assert drawn == draw_questions(ROWS, 500)
    assert drawn[:100] == draw_questions(ROWS, 500)[:100]
    assert drawn != draw_questions(ROWS, 500, seed=2)


def test_a_row_that_is_there_more_often_is_drawn_more_often() -> None:
    drawn = Counter(query.intent for query in draw_questions([*ROWS, *ROWS[:1] * 7], 2000))
    assert 0.72 < drawn["bank/lost"] / 2000 < 0.88


def test_an_edited_question_keeps_its_label_and_its_words() -> None:
    for query in draw_questions(ROWS, 500):
        words = set(TEXTS[query.intent].lower().replace("?", "").split())
        typed = set(query.text.lower().replace("?", "").replace(".", "").split())
        assert len(words - typed) <= 3, query.text


def test_the_stream_has_repeats_and_new_texts() -> None:
    rows = [Query(f"{text} Number {number}", f"{intent}{number}", "b")
            for number in range(60) for intent, text in TEXTS.items()]  # fmt: skip
    found = describe_questions(draw_questions(rows, 2000))
    assert 0.3 < found["new_texts"] < 0.7
    assert 0.5 < found["verbatim"] < 0.7
    assert found["answerable"] > 0.9


def test_a_question_says_how_it_was_typed() -> None:
    drawn = draw_questions(ROWS, 1000)
    assert {query.group for query in drawn} == {*wordings.EDITS, VERBATIM, TWO_EDITS}
    for query in drawn:
        assert (query.group == VERBATIM) == (query.text == TEXTS[query.intent])
    for query in (query for query in drawn if query.group == "case"):
        assert query.text.lower() == TEXTS[query.intent].lower()


def test_what_is_described_is_counted_in_order() -> None:
    asked = [
        Query("a", "A", VERBATIM),
        Query("a!", "A", "end"),
        Query("a", "A", "case"),
        Query("b", "B", VERBATIM),
    ]
    assert describe_questions(asked) == {
        "intents": 2,
        "verbatim": 0.5,
        "new_texts": 0.75,
        "answerable": 0.5,
    }


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("Where is my card?", {"Where is my card", "Where is my card.", "Where is my card!"}),
        ("Where is my card", {"Where is my card?", "Where is my card.", "Where is my card!"}),
    ],
)
def test_another_sign_at_the_end(text: str, typed: set[str]) -> None:
    source = dice()
    assert {wordings.change_end(text, source) for _ in range(50)} == typed


def test_a_typing_error_is_in_a_long_word_and_keeps_its_ends() -> None:
    source = dice()
    for _ in range(200):
        before, word, after = wordings.mistype_word("my transfer is late", source).partition(" is")
        assert (before[:4], before[-1], word + after) == ("my t", "r", " is late")
        assert 7 <= len(before.removeprefix("my ")) <= 9
    assert wordings.mistype_word("my card is late", source) == "my card is late"


def test_contractions_go_both_ways() -> None:
    assert wordings.change_contraction("I'm late", dice()) == "I am late"
    assert wordings.change_contraction("Why cannot i pay", dice()) == "Why can't i pay"
    assert wordings.change_contraction("What's new", dice()) == "What is new"
    assert wordings.change_contraction("Who pays", dice()) == "Who pays"


def test_a_greeting_goes_before_and_please_before_the_sign() -> None:
    assert wordings.add_greeting("I pay GBP", dice()).endswith(", I pay GBP")
    assert wordings.add_greeting("GBP or USD?", dice()).endswith(", GBP or USD?")
    assert wordings.add_greeting("Where is it?", dice()).endswith(", where is it?")
    assert wordings.add_greeting("A fee came", dice()).endswith(", a fee came")
    source = dice()
    polite = {wordings.add_politeness("Where is it?", source) for _ in range(100)}
    assert polite == {
        *(f"Where is it{please}?" for please in wordings.PLEASES),
        *(f"Where is it?{thanks}" for thanks in wordings.THANKS),
    }


def reply(tier: str, seconds: float, label: str = "A", **more: Any) -> Reply:
    return Reply(0.0, seconds, 200, tier, label=label, **more)


def test_figures_count_hits_wrong_ones_errors_and_added_time() -> None:
    asked = [Query(f"q{number}", "A", "x") for number in range(8)]
    replies = [
        reply("miss", 0.31),
        reply("exact", 0.2, joined=True),
        reply("exact", 0.002),
        reply("semantic", 0.01),
        reply("semantic", 0.02, label="B", completion="c"),
        reply("miss", 0.33, label="B", completion="c"),
        Reply(0.0, 0.5, 502),
        Reply(0.0, 60.0, 0),
    ]
    found = summarize_replies(asked, replies, provider_seconds=0.3)
    assert (found["requests"], found["errors"], found["hit_rate"]) == (8, 2, 0.5)
    assert found["hits"] == {"exact": 2, "semantic": 2, "joined": 1}
    assert found["hit_rate_by_quarter"] == [0.5, 1.0, 0.5, 0.0]
    assert found["wrong_hits"] == {"exact": 0, "semantic": 1}
    assert found["wrong_share_of_hits"] == 0.25
    assert found["served_wrong"] == [
        {"asked": "q4", "intent": "A", "stored": "q5", "made_for": "B"}
    ]
    times = found["latency_ms"]
    assert times["all"]["max"] == 330.0
    assert times["exact"] == {"p50": 2.0, "p95": 2.0, "p99": 2.0, "max": 2.0}
    assert times["joined"]["p50"] == 200.0
    assert (times["added_to_calls"]["p50"], times["added_to_calls"]["max"]) == (10.0, 30.0)
    assert (times["added"]["p50"], times["added"]["max"]) == (10.0, 30.0)
    assert "bypass" not in times


def test_quarters_are_all_of_the_stream() -> None:
    replies = [reply("miss", float(number)) for number in range(10)]
    quarters = split_quarters(replies)
    assert [len(quarter) for quarter in quarters] == [2, 3, 2, 3]
    assert [one for quarter in quarters for one in quarter] == replies


def test_the_table_has_a_column_for_each_run() -> None:
    run = summarize_replies(
        [Query("q", "A", "x")], [reply("exact", 0.002)], provider_seconds=0.3
    ) | {
        "provider": {"requests": 1, "prompt_tokens": 20, "completion_tokens": 50},
        "billed_usd": 0.5,
        "would_usd": None,
        "whole_misses": None,
        "cpu_seconds_per_1000": {"gateway": 2.5},
        "share_of_a_core": {"gateway": 0.1, "services": 0.02, "provider": 0.03, "client": 0.04},
        "worker_mb": [300.0, 310.4],
        "disagreement": "",
    }
    shown = render_table({"with": run, "without": run})
    assert "| exact hits, ms | 2.0 / 2.0 / 2.0 / 2.0 | 2.0 / 2.0 / 2.0 / 2.0 |" in shown
    assert "| workers at the end, MB | 300 / 310 | 300 / 310 |" in shown
    assert "| wrong hits, exact / semantic | 0 / 0 (0.00 %) | 0 / 0 (0.00 %) |" in shown
    assert "| x | 1 | 100.0 % | 0 |" in render_edits(run)


HEAD = b"http/1.1 200 ok\r\nx-request-id: 1\r\nx-tokenthrift-cache: %b\r\ncache-status: %b"


def completion(label: str) -> bytes:
    message = {"role": "assistant", "content": answer(label)}
    return orjson.dumps({"id": "c1", "choices": [{"message": message}]})


def test_a_reply_says_its_tier_its_label_and_whose_call_it_shared() -> None:
    body = completion("bank/lost")
    head = HEAD % (b"exact", b"tokenthrift; hit; detail=collapsed")
    assert read_reply(head, body, due=1.0, seconds=2.0) == Reply(
        1.0, 2.0, 200, "exact", joined=True, label="bank/lost", completion="c1"
    )
    assert read_reply(b"http/1.1 503 no", b"busy", due=1.0, seconds=2.0) == Reply(1.0, 2.0, 503)


class Numbered(asyncio.Protocol):
    """Answers with the label that is asked; breaks off at `lost`, says nothing to `silent`."""

    connections = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        Numbered.connections += 1

    def data_received(self, data: bytes) -> None:
        label = data.rpartition(b"\r\n\r\n")[2].decode()
        if label == "lost":
            self.transport.close()
        if label in ("lost", "silent"):
            return
        body = completion(label)
        head = HEAD % (b"miss", b"tokenthrift; fwd=miss") + b"\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(head % len(body) + body)


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(Numbered, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions"


async def test_every_request_has_a_reply_in_its_place_and_a_lost_connection_is_one() -> None:
    Numbered.connections, tally = 0, Tally()
    async with served() as url:
        labels = ["lost" if number == 50 else f"label {number}" for number in range(120)]
        requests = [post(url, label.encode()) for label in labels]
        replies = await send_requests(url, requests, rate=500, tally=tally)
    assert [one.label or "lost" for one in replies] == labels
    assert [one.status for one in replies].count(0) == 1
    assert replies[50].status == 0
    assert Numbered.connections == 33, "another one in place of the lost one"
    assert tally.tiers == {"miss": 119}
    gaps = [later.due - one.due for one, later in pairwise(replies)]
    assert all(abs(gap - 0.002) < 1e-6 for gap in gaps)


async def test_what_is_never_answered_is_an_error_and_holds_nothing_up() -> None:
    async with served() as url:
        labels = ["silent"] * 40 + ["late"]
        requests = [post(url, label.encode()) for label in labels]
        replies = await send_requests(url, requests, rate=500, tally=Tally(), patience=0.2)
    assert len(replies) == 41, "32 wait for an answer, the others for a connection"
    assert {reply.status for reply in replies} == {0}
