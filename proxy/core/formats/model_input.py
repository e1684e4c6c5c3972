"""Which parts of a request reach the model, and how each affects caching."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from proxy.core.types import Message

# Two requests may share a semantic cache entry only if the model read the same. So each part is
# either in the cache key of both tiers (`KEY_FIELDS`: exactly), or compared by meaning with rules
# of its own (`COMPARED_FIELDS`), or excludes the request from the semantic tier
# (`EXACT_ONLY_FIELDS`), or never reaches the model (`UNREAD_FIELDS`). A field on no list, now or in
# years to come, is for the exact tier only: it may fetch something fresh, or call something.
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
# Sampling and model selection: a part of the cache key.
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
# Fields of several providers that offer tools or fresh data. An empty object offers one: a web
# search with default settings.
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

# Of a message the role and the text are compared, everything else is in the key; of a content part
# likewise.
CALL_FIELDS: Final = ("tool_calls", "function_call")
TURN_ROLES: Final = frozenset({"user", "assistant"})
TEXT_PART_TYPES: Final = frozenset({"text"})


def offers_tools(body: Mapping[str, Any]) -> bool:
    """Return whether the model may fetch or call something; an empty list or false is no offer."""
    return any(body.get(name) not in (None, False, [], "") for name in TOOL_OFFER_FIELDS)


def has_unknown_field(body: Mapping[str, Any]) -> bool:
    """Return whether the body has a field whose effect on the answer is unknown."""
    return any(value is not None and name not in _KNOWN_FIELDS for name, value in body.items())


def extract_non_text(message: Message) -> dict[str, Any]:
    """Return what a message holds besides role and text, such as a name or `cache_control`.

    Empty for most messages.
    """
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
    """Return whether a user or assistant message comes before the final one."""
    return any(message["role"] in TURN_ROLES for message in messages[:-1])


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [])


_KNOWN_FIELDS = UNREAD_FIELDS | KEY_FIELDS | EXACT_ONLY_FIELDS | COMPARED_FIELDS
