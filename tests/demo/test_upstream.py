"""The demo upstream as its own process, spoken to by the official SDK."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from demo.answers import answer
from demo.processes import running
from gateway_project.embedded.processes import find_free_port
from proxy.core.tokens import count_prompt_tokens, count_text

MESSAGES: Any = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Can I pay by card?"},
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = find_free_port()
    url, log = f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("upstream") / "log"
    command = ["-m", "demo.upstream", "--port", str(port), "--latency-ms", "50"]
    with running(
        "upstream", command, url=f"{url}/v1/models", log=log, environment=os.environ, seconds=30
    ):
        yield url


@pytest.fixture
def sdk(address: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0) as client:
        yield client


def test_an_answer_carries_its_label_and_counts_tokens_as_the_provider_does(sdk: OpenAI) -> None:
    completion = sdk.chat.completions.create(
        model="gpt-4o-mini", messages=MESSAGES, metadata={"label": "card"}
    )
    assert completion.choices[0].message.content == answer("card")
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == count_prompt_tokens(MESSAGES, "o200k_base")
    assert completion.usage.completion_tokens == count_text(answer("card"), "o200k_base")


def test_a_stream_brings_role_pieces_finish_and_usage_in_openais_order(sdk: OpenAI) -> None:
    options: Any = {"include_usage": True}
    chunks = list(
        sdk.chat.completions.create(
            model="gpt-4o-mini",
            messages=MESSAGES,
            metadata={"label": "card"},
            stream=True,
            stream_options=options,
        )
    )
    first, *middle, last, usage = chunks
    assert first.choices[0].delta.role == "assistant"
    assert len(middle) > 2
    assert "".join(chunk.choices[0].delta.content or "" for chunk in middle) == answer("card")
    assert last.choices[0].finish_reason == "stop"
    assert usage.choices == []
    assert usage.usage is not None
    assert usage.usage.prompt_tokens == count_prompt_tokens(MESSAGES, "o200k_base")
    assert len({chunk.id for chunk in chunks}) == 1


def test_without_stream_options_no_usage_comes(sdk: OpenAI) -> None:
    chunks = list(sdk.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_a_stream_ends_with_done(address: str) -> None:
    body = {"model": "gpt-4o-mini", "messages": MESSAGES, "stream": True}
    reply = httpx.post(f"{address}/v1/chat/completions", json=body)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.endswith("data: [DONE]\n\n")


def test_the_ledger_counts_what_was_billed(sdk: OpenAI, address: str) -> None:
    before = httpx.get(f"{address}/ledger").json()
    usage = sdk.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES).usage
    after = httpx.get(f"{address}/ledger").json()
    assert usage is not None
    assert {name: after[name] - before[name] for name in after} == {
        "requests": 1,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
    }


def test_models_and_errors_have_openais_shape(sdk: OpenAI, address: str) -> None:
    assert [model.id for model in sdk.models.list()] == ["gpt-4o-mini"]
    for reply in (
        httpx.post(f"{address}/v1/chat/completions", content=b"{oops"),
        httpx.post(f"{address}/v1/chat/completions", json=[1]),
        httpx.post(f"{address}/v1/chat/completions", json={"model": "x", "messages": []}),
        httpx.get(f"{address}/v1/other"),
    ):
        assert reply.status_code in (400, 404)
        assert set(reply.json()["error"]) == {"message", "type", "param", "code"}


def test_a_process_that_ends_at_once_is_one_clear_line(tmp_path: Path) -> None:
    from demo.processes import StartError

    command = ["-c", "print('no such luck'); raise SystemExit(3)"]
    with pytest.raises(StartError, match=r"ended with status 3.*no such luck"):  # noqa: SIM117 - the inner block is never entered
        with running(
            "thing",
            command,
            url="http://127.0.0.1:1/",
            log=tmp_path / "log",
            environment=os.environ,
            seconds=10,
        ):
            pytest.fail(sys.executable)
