"""What the semantic tier may answer, and what may be stored."""

import orjson
import pytest

from plans.snapshot import CacheSettings
from proxy.core.caching.eligibility import extract_question, semantic_ineligibility
from proxy.core.formats.chat_completions import ChatRequest, parse_chat_request


def request(*messages: dict[str, object], **fields: object) -> ChatRequest:
    return parse_chat_request(
        orjson.dumps(
            {
                "model": "m",
                "messages": list(messages) or [{"role": "user", "content": "How do I pay?"}],
                **fields,
            }
        )
    )


def asking(question: str) -> ChatRequest:
    return request({"role": "user", "content": question})


TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (request(tools=[TOOL]), "tools"),
        (request(functions=[{"name": "f"}]), "tools"),
        (
            request(
                {"role": "assistant", "tool_calls": [{"id": "1"}]},
                {"role": "tool", "content": "x"},
                {"role": "user", "content": "q"},
            ),
            "tools",
        ),
        (request(tool_choice="auto"), "tools"),
        (request(function_call="auto"), "tools"),
        (request(web_search_options={"search_context_size": "low"}), "tools"),
        (request(web_search_options={}), "tools"),
        (request(plugins=[{"id": "web"}]), "tools"),
        (request(search_parameters={}), "tools"),
        (request(enable_search=True), "tools"),
        (request(data_sources=[{}]), "tools"),
        (request(something_new={}), "unknown-field"),
        (request(something_new=False), "unknown-field"),
        (
            request(
                {"role": "assistant", "content": None, "function_call": {"name": "f"}},
                {"role": "user", "content": "q"},
            ),
            "tools",
        ),
        (
            request(
                {"role": "function", "name": "f", "content": "x"}, {"role": "user", "content": "q"}
            ),
            "tools",
        ),
        (request(response_format={"type": "json_object"}), "structured"),
        (request(n=2), "several-choices"),
        (request(logprobs=True), "logprobs"),
        (
            request(
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
            ),
            "media",
        ),
        (request(audio={"voice": "x"}), "media"),
        (request(temperature=1.2), "temperature"),
        (
            request({"role": "user", "content": "q"}, {"role": "assistant", "content": "prefill"}),
            "no-question",
        ),
        (asking("   "), "no-question"),
        (asking("word " * 300), "long-question"),
        (asking("How do I pay?\U000e0041\U000e0042"), "unseen"),
        (asking("How do I pay?" + "\u200b" * 4), "unseen"),
        (asking("How do I pay?\ue000\ue001\ue002\ue003"), "unseen"),
        (asking("pay" + "\u200d\u200c" * 4), "unseen"),
        (asking("What time is it?"), "time-sensitive"),
        (asking("what is the latest news"), "time-sensitive"),
        (asking("Is the service down right now?"), "time-sensitive"),
        (asking("Where is my order 123-4567?"), "personal"),
        (asking("What is my balance?"), "personal"),
        (asking("Write to jo@example.com please"), "personal"),
    ],
)
def test_what_is_for_the_exact_tier_only(asked: ChatRequest, reason: str) -> None:
    assert semantic_ineligibility(asked, CacheSettings()) == reason


@pytest.mark.parametrize(
    "question",
    [
        "How do I pay?",
        "Why was my card declined today?",
        "Can I change my PIN at any ATM?",
        "Why has my balance not changed after a transfer?",
        "What are your opening hours?",
        "My latest statement looks wrong",
        "How long does a transfer take?",
    ],
)
def test_what_a_bank_is_asked_all_day_is_welcome(question: str) -> None:
    assert semantic_ineligibility(asking(question), CacheSettings()) is None


def test_a_plan_may_say_otherwise() -> None:
    open_plan = CacheSettings(time_sensitive=True, personal=True, max_temperature=2.0)
    assert semantic_ineligibility(asking("What time is it?"), open_plan) is None
    assert semantic_ineligibility(asking("What is my balance?"), open_plan) is None
    assert semantic_ineligibility(request(temperature=1.2), open_plan) is None


def test_default_values_written_out_change_nothing() -> None:
    spelled = request(
        response_format={"type": "text"}, n=1, temperature=1.0, tools=[], logprobs=False
    )
    assert semantic_ineligibility(spelled, CacheSettings()) is None


def test_the_question_is_the_final_user_message() -> None:
    assert (
        extract_question(
            request(
                {"role": "user", "content": "a"},
                {"role": "user", "content": [{"type": "text", "text": "b"}]},
            )
        )
        == "b"
    )
