"""What a provider says went wrong is found in every shape that providers use,
and never tells our key or its address."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.config import ProviderEndpoint
from proxy.core.formats.provider_errors import (
    MAX_MESSAGE_LENGTH,
    find_error,
    find_hidden_error,
    find_stream_error,
    find_text_error,
)
from proxy.core.formats.provider_json import parse_json
from proxy.core.formats.provider_secrets import ProviderSecrets
from proxy.core.formats.shown_errors import build_shown_error

KEY = "sk-proj-Abc123Def456Ghi789Jkl0"
UPSTREAM = ProviderEndpoint(
    id=1, name="u", base_url="http://llm.internal.example:8001/v1", api_key=KEY
)
SECRETS = ProviderSecrets(UPSTREAM)
TOO_LONG = "This model's maximum context length is 4096 tokens, you requested 9000."
SHAPES: dict[str, tuple[Any, str]] = {
    "openai": (
        {
            "error": {
                "message": TOO_LONG,
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
        },
        TOO_LONG,
    ),
    "openrouter": (
        {
            "error": {
                "message": "Provider returned error",
                "code": 429,
                "metadata": {"raw": "slow"},
            },
            "user_id": "u",
        },
        "Provider returned",
    ),
    "anthropic": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        "Overloaded",
    ),
    "vllm": (
        {
            "object": "error",
            "message": TOO_LONG,
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        TOO_LONG,
    ),
    "ollama": (
        {"error": "model 'qwen3' not found, try pulling it first"},
        "model 'qwen3' not found",
    ),
    "tgi": (
        {"error": "Input validation error", "error_type": "validation"},
        "Input validation error",
    ),
    "gemini": (
        [
            {
                "error": {
                    "code": 400,
                    "message": "Bad contents.",
                    "status": "INVALID_ARGUMENT",
                    "details": [],
                }
            }
        ],
        "Bad contents.",
    ),
    "fastapi": ({"detail": TOO_LONG}, TOO_LONG),
    "fastapi, list": (
        {
            "detail": [
                {
                    "loc": ["body", "messages", 0, "content"],
                    "msg": "field required",
                    "type": "missing",
                }
            ]
        },
        "messages.0.content: field required",
    ),
    "fastapi, object": (
        {"detail": {"error": "x", "message": "No such adapter."}},
        "No such adapter.",
    ),
    "mistral": (
        {
            "object": "error",
            "message": {"detail": [{"loc": ["body", "n"], "msg": "too large"}]},
            "type": "invalid_request_error",
        },
        "n: too large",
    ),
    "mistral, newer": ({"message": "Unauthorized model", "request_id": "1"}, "Unauthorized model"),
    "cohere": ({"id": "1", "message": "invalid request: n"}, "invalid request: n"),
    "bedrock": (
        {"Message": "The model returned an error.", "__type": "ModelErrorException"},
        "The model returned",
    ),
    "dashscope": (
        {"code": "InvalidParameter", "message": "Range of n.", "request_id": "1"},
        "Range of n.",
    ),
    "problem details": (
        {"type": "about:blank", "title": "Conflict", "status": 409, "detail": "Busy model."},
        "Busy model.",
    ),
    "spring": (
        {
            "timestamp": "x",
            "status": 404,
            "error": "Not Found",
            "message": "No route.",
            "path": "/v1",
        },
        "No route.",
    ),
    "cloudflare": (
        {
            "success": False,
            "errors": [{"code": 7003, "message": "No route for that URI"}],
            "result": None,
        },
        "No route for that URI",
    ),
    "minimax": (
        {"base_resp": {"status_code": 1004, "status_msg": "login fail"}, "choices": None},
        "login fail",
    ),
    "baidu": ({"error_code": 336003, "error_msg": "the max length is exceeded"}, "the max length"),
    "azure gateway": (
        {"statusCode": 429, "message": "Rate limit is exceeded."},
        "Rate limit is exceeded.",
    ),
    "a text": ("upstream connect error", "upstream connect error"),
    "errors in words": ({"errors": ["first", "second"]}, "first"),
    "nothing said": ({"error": {"code": 7}}, ""),
    "an empty error": ({"error": {}}, ""),
    "a number": (7, ""),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("status", [400, 404, 429, 500, 529])
def test_its_words_reach_the_client_in_openais_object(name: str, status: int) -> None:
    value, words = SHAPES[name]
    body = orjson.dumps(value)
    shown = build_shown_error(body, "application/json", status=status, secrets=SECRETS)
    error = orjson.loads(shown.body)["error"]
    assert words in error["message"]
    assert error["message"]
    if name in ("openai", "openrouter", "anthropic"):
        assert shown.body == body
    else:
        assert error.keys() >= {"message", "type"}


def test_labels_are_kept() -> None:
    def shown(name: str, status: int = 400) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(
            build_shown_error(
                orjson.dumps(SHAPES[name][0]), "", status=status, secrets=SECRETS
            ).body
        )["error"]
        return found

    assert (shown("vllm")["type"], shown("vllm")["code"]) == ("BadRequestError", None)
    assert (shown("fastapi, list")["param"], shown("fastapi, list")["type"]) == (
        "messages.0.content",
        "invalid_request_error",
    )
    assert (shown("dashscope")["code"], shown("tgi")["type"], shown("gemini")["status"]) == (
        "InvalidParameter",
        "validation",
        "INVALID_ARGUMENT",
    )
    assert shown("fastapi", 429)["type"] == "rate_limit_error"
    assert shown("fastapi", 503)["type"] == "server_error"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html><head><title>502 Bad Gateway</title></head></html>", "text/html"),
        (b"  \n<!DOCTYPE html><p>x", "text/plain"),
        (b"<?xml version='1.0'?><Error><Message>x</Message></Error>", "application/xml"),
        (b"Bad Gateway", "text/html; charset=utf-8"),
        (b'{"error": "<!DOCTYPE html><html>x"}', "application/json"),
        (b'{"error": {"message": "<html><body>x"}}', "application/json"),
        (b'{"detail": "\\n <HTML>x"}', "application/json"),
        (b"", "text/plain"),
    ],
)
def test_no_page_reaches_a_client(body: bytes, content_type: str) -> None:
    shown = build_shown_error(body, content_type, status=502, secrets=SECRETS)
    error = orjson.loads(shown.body)["error"]
    assert "<" not in error["message"]
    assert "502" in error["message"]
    assert (error["type"], error["code"]) == ("server_error", "upstream_invalid_response")


def test_plain_text_is_told_and_bounded() -> None:
    assert (
        find_text_error(b"  no healthy upstream\n", "text/plain").message == "no healthy upstream"
    )
    for long in (
        find_text_error(b"x" * 100_000, "text/plain"),
        find_error({"detail": "x" * 100_000}),
    ):
        assert long is not None
        assert len(long.message) == MAX_MESSAGE_LENGTH
    huge = orjson.dumps({"error": {"message": "x" * 200_000, "metadata": ["y" * 1000] * 1000}})
    assert len(build_shown_error(huge, "", status=400, secrets=SECRETS).body) < 3_000


def test_an_answer_is_no_error_and_an_error_is_no_answer() -> None:
    good = {"choices": [{"index": 0, "message": {"content": "x"}}]}
    for fine in (
        good,
        {**good, "error": None},
        {**good, "error": {"message": "beside it"}},
        {"choices": [{"message": {"content": ""}}], "detail": "x"},
    ):
        assert (
            find_hidden_error({**fine, "error": None} if "detail" in fine else fine) is None
            or "detail" in fine
        )
    for bad, status in (
        ({"error": {"message": "ResourceExhausted", "code": 429}}, 429),
        ({"error": {"message": "x", "code": "503"}}, 503),
        ({"error": {"message": "x", "code": 42}}, None),
        ({"error": "text", "choices": None}, None),
        ({"object": "error", "message": "x", "code": 400}, 400),
        ({"detail": "x"}, None),
        ({"base_resp": {"status_code": 1004, "status_msg": "x"}, "choices": None}, None),
        ([{"error": {"code": 400, "message": "x"}}], 400),
    ):
        found = find_hidden_error(bad)
        assert found is not None, bad
        assert found.status == status
    assert find_hidden_error({"ok": 1}) is None
    assert (
        find_hidden_error(
            {"model": "m", "message": {"role": "assistant", "content": "x"}, "done": True}
        )
        is None
    )


def test_an_event_is_an_error_only_where_it_says_so() -> None:
    chunk: Any
    for chunk in (
        {"choices": []},
        {"choices": [], "error": None},
        {"type": "ping"},
        {"choices": [{"delta": {"content": "error"}}]},
        [],
        7,
        None,
    ):
        assert find_stream_error(chunk) is None, chunk
    for event, name in (
        ({"error": {"message": "x"}}, ""),
        ({"error": "x"}, ""),
        ({"object": "error", "message": "x", "code": 400}, ""),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, "error"),
        ({"message": "x"}, "error"),
        ({"detail": "x"}, ""),
        ([{"error": {"message": "x"}}], ""),
        (
            {
                "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}],
                "error": {"message": "x"},
            },
            "",
        ),
    ):
        found = find_stream_error(event, event_name=name)
        assert found is not None, event
        assert found.message == "x"


@pytest.mark.parametrize("code", ["invalid_api_key", "API_KEY_INVALID"])
def test_a_refused_key_is_seen_under_any_status(code: str) -> None:
    for body in (
        {"error": {"message": "x", "code": code}},
        {"error": {"message": "x", "code": 401}},
        {"error": {"message": "x", "type": "authentication_error"}},
    ):
        found = find_error(body)
        assert found is not None
        assert found.is_key_refused
    other = find_error({"error": {"message": "x", "code": 429}})
    assert other is not None
    assert not other.is_key_refused


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {KEY}.",
        f"Bearer {KEY[:12]}...",
        f"...{KEY[-8:]} at http://llm.internal.example:8001/v1/chat/completions",
        f"{KEY}{KEY} LLM.Internal.Example",
        f"x{KEY[5:20]}y{KEY[9:25]}",
        "c2stcHJvai1BYmMxMjNEZWY0NTZHaGk3ODlKa2ww",
    ],
)
def test_our_key_its_parts_and_its_host_are_taken_out(text: str) -> None:
    for value in (
        {"error": {"message": text, "type": "x"}},
        {"detail": text},
        [{"error": {"message": text, "details": [{text: text}]}}],
    ):
        body = build_shown_error(orjson.dumps(value), "", status=400, secrets=SECRETS).body.decode()
        assert not any(KEY[at : at + 8] in body for at in range(len(KEY) - 7))
        assert "internal.example" not in body.lower()
        assert "c2stcHJvai1BYmMx" not in body
    assert "[redacted]" in SECRETS.redact_text(KEY)


def test_other_words_stay() -> None:
    text = (
        "See https://platform.openai.com/account/api-keys; "
        "myllm.internal.example.org is another host."
    )
    assert SECRETS.redact_text(text) == text
    value = {"error": {"message": text, "metadata": {"raw": [1, None, True]}}}
    assert SECRETS.redact_json(value) is value
    assert ProviderSecrets(
        ProviderEndpoint(id=1, name="u", base_url="http://ollama:11434/v1")
    ).redact_text("ollama pull, http://ollama:11434") == ("[upstream] pull, http://[upstream]")
    short = ProviderSecrets(
        ProviderEndpoint(id=1, name="u", base_url="http://x/v1", api_key="none")
    )
    assert short.redact_text("none of the nonesuch") == "[redacted] of the nonesuch"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["", "x", "400", "error", "<html>", KEY]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    "error errors message detail msg loc code status type param object "
                    "base_resp choices"
                ).split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(JSON, st.sampled_from([400, 429, 500]))
def test_whatever_comes_makes_one_error_object_without_our_key(value: Any, status: int) -> None:
    shown = build_shown_error(
        orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS) if _fits(value) else b"",
        "",
        status=status,
        secrets=SECRETS,
    )
    error = orjson.loads(shown.body)["error"]
    assert isinstance(error, dict)
    assert isinstance(error["message"], str)
    assert KEY.encode() not in shown.body
    find_stream_error(value)
    find_hidden_error(value)


def _fits(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def test_a_body_that_nests_without_end_is_still_an_error_object() -> None:
    deep = b'{"error":{"message":"x","a":' + b"[" * 900 + b"]" * 900 + b"}}"
    assert parse_json(deep) is not None
    assert b"error" in build_shown_error(deep, "", status=400, secrets=SECRETS).body


@pytest.mark.parametrize(
    ("value", "message", "code"),
    [
        (
            {"error": {"code": "model_overloaded"}},
            "The upstream answered 503: model_overloaded.",
            "model_overloaded",
        ),
        (
            {"error": {"status": "RESOURCE_EXHAUSTED"}},
            "The upstream answered 503: RESOURCE_EXHAUSTED.",
            None,
        ),
        (
            {"error": {"code": 503}},
            "The upstream answered 503 and does not say what went wrong.",
            "upstream_invalid_response",
        ),
    ],
)
def test_a_code_or_a_type_alone_is_said(value: Any, message: str, code: str | None) -> None:
    error = find_error(value)
    assert error is not None
    told = error.build_body(status=503)["error"]
    assert (told["message"], told["code"]) == (message, code)


def test_a_choice_that_failed_is_an_error_under_200() -> None:
    failed = {
        "index": 0,
        "message": {"role": "assistant", "content": ""},
        "error": {"message": "Provider returned error", "code": 502},
    }
    error = find_hidden_error({"choices": [failed]})
    assert error is not None
    assert (error.message, error.status) == ("Provider returned error", 502)
    said = {
        "index": 0,
        "message": {"role": "assistant", "content": "half an ans"},
        "error": {"message": "late", "code": 502},
    }
    assert find_hidden_error({"choices": [said]}) is None
    assert (
        find_hidden_error(
            {
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": ""}, "error": None}
                ]
            }
        )
        is None
    )
