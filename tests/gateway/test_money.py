"""What providers report, in the words of each, against what the ledger bills:
whole and streamed, through a running gateway."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import httpx
import psycopg
import psycopg.rows
import pytest

from tests.support.gateways import Gateway, running_gateway
from tests.support.upstream import MockUpstream, completion, running_upstream

TOLERANCE: Final = Decimal("0.000000001")
WORDS: Final = "word " * 400


@dataclass(frozen=True)
class Case:
    """`usage`: as the provider reports it; `beside`: what else its completion holds,
    `of_choice`: its choice; `billed`: US dollars, or those off and at the provider's peak;
    `expect`: other columns of the row."""

    provider: str
    model: str
    usage: dict[str, Any] | None
    billed: str | tuple[str, str]
    expect: dict[str, Any] = field(default_factory=dict)
    beside: dict[str, Any] = field(default_factory=dict)
    of_choice: dict[str, Any] = field(default_factory=dict)


def tokens(prompt: int, completion: int, total: int | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion if total is None else total,
        **fields,
    }


def cached(number: int) -> dict[str, int]:
    return {"cached_tokens": number}


CASES: Final = {
    "xai-reasoning": Case(
        "x-ai",
        "grok-4-fast-reasoning",
        tokens(
            10120,
            1499,
            14428,
            prompt_tokens_details=cached(128),
            completion_tokens_details={"reasoning_tokens": 2809},
        ),
        "0.0041588",
        {"completion_tokens": 4308, "cached_tokens": 128, "token_details": {"reasoning": 2809}},
    ),
    "moonshot-choice": Case(
        "moonshotai",
        "kimi-k2-0905-preview",
        None,
        "0.0011071",
        {"estimated": False, "cached_tokens": 512},
        of_choice={"usage": tokens(1900, 79, cached_tokens=512)},
    ),
    "deepseek-hits": Case(
        "deepseek",
        "deepseek-chat",
        tokens(1000, 10, prompt_cache_hit_tokens=896, prompt_cache_miss_tokens=104),
        ("0.0000509", "0.0001018"),
        {"cached_tokens": 896},
    ),
    "openrouter-cost": Case(
        "openrouter",
        "openai/gpt-4o-mini",
        tokens(1000, 100, cost=0.00095, cost_details={"upstream_inference_cost": None}),
        "0.00095",
        {"bill": "charged"},
    ),
    "gemini-long": Case(
        "google", "gemini-2.5-pro", tokens(250_000, 1_000), "0.64", {"bill": "list"}
    ),
    "openai-cached-too-much": Case(
        "openai",
        "gpt-4o-mini",
        tokens(10, 5, prompt_tokens_details=cached(99_999)),
        "0.00000375",
        {"cached_tokens": 10},
    ),
    "anthropic-read": Case(
        "anthropic",
        "claude-sonnet-4-5",
        tokens(2000, 10, cache_read_input_tokens=1800, cache_creation_input_tokens=0),
        "0.00129",
        {"prompt_tokens": 2000, "cached_tokens": 1800},
    ),
    # Others of their kinds.
    "gemini-thoughts": Case(
        "google",
        "gemini-2.5-pro",
        tokens(7477, 2060, 11_476),
        "0.04933625",
        {"completion_tokens": 3999},
    ),
    "gemini-audio": Case(
        "google",
        "gemini-2.5-flash",
        tokens(1000, 100, prompt_tokens_details={"audio_tokens": 600}),
        "0.00097",
        {"token_details": {"audio": 600}},
    ),
    "gemini-long-cached": Case(
        "google",
        "gemini-2.5-pro",
        tokens(250_000, 1_000, prompt_tokens_details=cached(200_000)),
        "0.19",
    ),
    "groq-x": Case(
        "groq",
        "llama-3.3-70b-versatile",
        None,
        "0.00138",
        {"estimated": False},
        beside={"x_groq": {"id": "req_1", "usage": tokens(1000, 1000)}},
    ),
    "anthropic-hour": Case(
        "anthropic",
        "claude-sonnet-4-5",
        tokens(
            3000,
            10,
            cache_creation_input_tokens=2500,
            cache_creation={"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 2000},
        ),
        "0.015525",
        {"written_tokens": 2500, "token_details": {"written_1h": 2000}},
    ),
    "xai-ticks": Case(
        "x-ai",
        "grok-4-fast-reasoning",
        tokens(100, 10, cost_in_usd_ticks=37_756_000),
        "0.0037756",
        {"bill": "charged"},
    ),
    "perplexity-cost": Case(
        "perplexity",
        "sonar",
        tokens(10, 10, cost={"request_cost": 0.005, "total_cost": 0.00502}),
        "0.00502",
    ),
    "perplexity-request": Case("perplexity", "sonar", tokens(10, 10), "0.01202"),
    "openai-flex": Case(
        "openai", "gpt-5", tokens(1000, 100), "0.001125", beside={"service_tier": "flex"}
    ),
    "openai-audio": Case(
        "openai",
        "gpt-audio",
        tokens(
            1000,
            500,
            prompt_tokens_details={"audio_tokens": 400},
            completion_tokens_details={"audio_tokens": 300},
        ),
        "0.0355",
        {"token_details": {"audio": 400, "output_audio": 300}},
    ),
    "openai-floats": Case("openai", "gpt-4o-mini", tokens(1000.0, 100.0), "0.00021"),  # type: ignore[arg-type]  # as some write them
    "byok": Case(
        "openrouter",
        "openai/gpt-4o-mini",
        tokens(
            1000, 100, cost=0.00001, is_byok=True, cost_details={"upstream_inference_cost": 0.0002}
        ),
        "0.00021",
        {"bill": "charged"},
    ),
    "absurd": Case("openai", "gpt-4o-mini", tokens(2**52, 2**52), "", {"estimated": True}),
    "nothing-said": Case(
        "openai",
        "gpt-4o-mini",
        None,
        "",
        {"estimated": True},
        of_choice={
            "message": {
                "role": "assistant",
                "content": None,
                "reasoning_content": WORDS,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "write", "arguments": json.dumps({"text": WORDS})},
                    }
                ],
            }
        },
    ),
}


def says(case: Case) -> dict[str, Any]:
    made = completion("Fine.") | case.beside
    made.pop("usage")
    if "service_tier" not in case.beside:
        made.pop("service_tier")
    made["choices"][0] |= case.of_choice
    return made if case.usage is None else made | {"usage": case.usage}


@pytest.fixture(scope="module")
def upstream() -> Iterator[MockUpstream]:
    with running_upstream() as running:
        running.makes = lambda asked: says(CASES[asked["metadata"]["case"]])
        yield running


@pytest.fixture(scope="module")
def gateway(upstream: MockUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(upstream, tmp_path_factory.mktemp("gateway")) as running:
        routes = sorted({(case.provider, case.model) for case in CASES.values()})
        running.manage(
            "shell",
            "-c",
            (
                "from proxy.upstreams.services import put_route, put_upstream\n"
                f"for provider, model in {routes!r}:\n"
                "    made = put_upstream(name=provider, provider=provider, "
                f"base_url={upstream.base_url!r}, allow_private=True)\n"
                "    put_route(name=f'{provider}:{model}', upstream=made, model=model)"
            ),
        )
        time.sleep(2)
        yield running


def row_of(gateway: Gateway, request_id: str, seconds: float = 30.0) -> dict[str, Any]:
    """The request in the ledger."""
    ends = time.monotonic() + seconds
    with psycopg.connect(
        gateway.environment["DATABASE_URL"], autocommit=True, row_factory=psycopg.rows.dict_row
    ) as conn:
        while time.monotonic() < ends:
            found = conn.execute(
                "SELECT * FROM stats_requestevent WHERE event_id = %s", [request_id]
            ).fetchone()
            if found:
                return found
            time.sleep(0.1)
        letters = conn.execute("SELECT reason FROM stats_deadletter").fetchall()
    raise AssertionError(f"no row, {letters}")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", CASES)
def test_the_ledger_bills_what_the_provider_bills(
    gateway: Gateway, name: str, stream: bool
) -> None:
    case = CASES[name]
    reply = gateway.chat(
        model=f"{case.provider}:{case.model}", metadata={"case": name}, stream=stream
    )
    assert reply.status_code == 200, reply.text
    row = row_of(gateway, reply.headers["x-request-id"])
    for column, value in case.expect.items():
        assert row[column] == value, column
    if case.billed:
        peak = datetime.fromtimestamp(row["at"].timestamp(), UTC).time()
        dear = (0, 30) <= (peak.hour, peak.minute) < (16, 30)
        billed = Decimal(case.billed if isinstance(case.billed, str) else case.billed[dear])
        assert abs(row["billed_cost"] - billed) < TOLERANCE, row
    elif name == "nothing-said":
        assert 800 <= row["completion_tokens"] <= 840
    else:
        assert row["prompt_tokens"] < 100
        assert row["billed_cost"] < Decimal("0.001")


def test_a_client_that_leaves_before_the_answer_leaves_a_call_of_unknown_cost(
    gateway: Gateway, upstream: MockUpstream
) -> None:
    """Its row is found by time: a client that leaves gets no id."""
    upstream.pause = 5.0
    try:
        body = {
            "model": "openai:gpt-4o-mini",
            "messages": [{"role": "user", "content": "hi"}],
            "metadata": {"case": "openai-floats"},
        }
        key = {"authorization": f"Bearer {gateway.virtual_key}"}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=key, timeout=1)
    finally:
        upstream.pause = 0.0
    ends = time.monotonic() + 30
    with psycopg.connect(gateway.environment["DATABASE_URL"], autocommit=True) as conn:
        query = (
            "SELECT bill, billed_cost, prompt_tokens > 0 FROM stats_requestevent "
            "WHERE outcome = 'client_closed'"
        )
        while not (found := conn.execute(query).fetchone()) and time.monotonic() < ends:
            time.sleep(0.1)
    assert found == ("unknown", None, True)
    assert "1 calls were given up before their answer" in reconciled(gateway)


def reconciled(gateway: Gateway) -> str:
    """What `manage.py reconcile` says once the roll-ups are folded in."""
    time.sleep(3)
    return gateway.manage("reconcile")
