"""What of a request reaches the model, and what becomes of each part: the one list of it.

Two requests may share an answer by meaning only where the model read the same. So each part is
either in the key of both tiers (`KEY_FIELDS`: to the letter), or compared by meaning with rules of
its own (`COMPARED_FIELDS`), or keeps the request out of the semantic tier when it is given
(`EXACT_ONLY_FIELDS`), or never reaches the model (`UNREAD_FIELDS`). What stands on no list, now or
in years to come, is for the exact tier only: it may fetch something fresh, or call something.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from proxy.core.types import Message

# Fields of the body that no model reads.
UNREAD_FIELDS: Final = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "user",
    }
)
# How the model draws its answer, and who answers: a part of the key.
KEY_FIELDS: Final = frozenset(
    """
    model temperature top_p top_k top_a min_p typical_p seed random_seed stop stop_sequences n
    frequency_penalty presence_penalty repetition_penalty length_penalty logit_bias max_tokens
    max_completion_tokens min_tokens reasoning_effort reasoning include_reasoning enable_thinking
    thinking thinking_budget verbosity response_format logprobs top_logprobs modalities
    prediction parallel_tool_calls safe_prompt safety_settings provider models route transforms
    prompt_cache_retention prompt_mode
    """.split()
)
# Offers of tools and of what is fresh, in the words of several providers. An empty object is one: a
# search of the web as it comes.
TOOL_OFFER_FIELDS: Final = frozenset(
    """
    tools functions tool_choice function_call web_search_options web_search enable_search
    search_options search_parameters search_mode plugins data_sources tool_resources mcp_servers
    documents connectors file_ids files previous_response_id conversation citations
    enable_citations
    """.split()
)
EXACT_ONLY_FIELDS: Final = TOOL_OFFER_FIELDS | {"audio"}
COMPARED_FIELDS: Final = frozenset({"messages"})

# Of a message: its role and its text are compared, all else is in the key. Of a part of its content
# likewise.
CALL_FIELDS: Final = ("tool_calls", "function_call")
TURN_ROLES: Final = frozenset({"user", "assistant"})
TEXT_PART_TYPES: Final = frozenset({"text"})


def offers_tools(body: Mapping[str, Any]) -> bool:
    """Whether the model may fetch or call something; an empty list, and false, offer nothing."""
    return any(body.get(name) not in (None, False, [], "") for name in TOOL_OFFER_FIELDS)


def has_unknown_field(body: Mapping[str, Any]) -> bool:
    """Whether the body has a field of which nobody knows what it makes of the answer."""
    return any(value is not None and name not in _KNOWN_FIELDS for name, value in body.items())


def extract_non_text(message: Message) -> dict[str, Any]:
    """What a message carries besides its role and its text, such as a name or the marks of a part;
    nothing for most."""
    rest = {
        name: value
        for name, value in message.items()
        if name not in ("role", "content") and not _is_empty(value)
    }
    content = message.get("content")
    if isinstance(content, list):
        parts = [
            {name: value for name, value in part.items() if name not in ("type", "text")}
            for part in content
        ]
        if any(parts):
            rest["content"] = parts
    return rest


def has_history(messages: Sequence[Message]) -> bool:
    """Whether user or assistant said anything, in truth or as the client has it,
    before the final message."""
    return any(message["role"] in TURN_ROLES for message in messages[:-1])


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [])


_KNOWN_FIELDS = UNREAD_FIELDS | KEY_FIELDS | EXACT_ONLY_FIELDS | COMPARED_FIELDS
