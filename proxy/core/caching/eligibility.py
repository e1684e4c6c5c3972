"""Decide which requests the semantic tier may answer, and which answers may be stored.

Each rule has a name, the reason that the client sees.
"""

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

from plans.snapshot import CacheSettings, ToolCallReuse
from proxy.core.caching.question_patterns.personal import is_personal
from proxy.core.caching.question_patterns.timely import is_time_sensitive
from proxy.core.caching.question_patterns.wording import is_about_wording
from proxy.core.formats.chat_completions import ChatRequest, extract_text
from proxy.core.formats.model_input import CALL_FIELDS, has_unknown_field, offers_tools
from proxy.core.formats.structured_outputs import (
    NotJson,
    StepLimit,
    matches_schema,
    parse_strict_json,
)
from proxy.core.text.hidden_text import has_hidden_text
from proxy.core.text.language_detection import is_known_language
from stats.events import NotStoredReason

# The embedder reads 256 word pieces: two longer questions that differ at the end would look the
# same to it.
MAX_QUESTION_LENGTH = 1000
# Models of these names search the web: Perplexity's sonar, an OpenAI search model, any OpenRouter
# model with `:online`.
_ONLINE_MODEL_NAME = re.compile(
    r"(?:^|[-/:.])(?:online|sonar|search|deep-research|compound)(?:$|[-/:.])", re.IGNORECASE
)
# The reason for questions that the embedder does not understand, as its tokenizer detects.
VOCABULARY_REASON = "vocabulary"
# Finish reasons, in lower case, of an answer that ended by itself: OpenAI's, and those of Together
# and TGI, watsonx, Anthropic, Cohere and of servers that pass their own names on. Then those of an
# answer that ended in tool calls.
STOP_FINISH_REASONS = frozenset(
    {"stop", "eos", "eos_token", "end", "end_turn", "stop_sequence", "complete"}
)
TOOL_FINISH_REASONS = frozenset({"tool_calls", "tool_call", "tool_use", "function_call"})


def semantic_ineligibility(request: ChatRequest, cache: CacheSettings) -> str | None:
    """Return why only the exact tier may answer this request, or None if the semantic tier may."""
    body = request.body
    for reason, applies in (
        ("tools", _uses_tools(request)),
        ("structured", (body.get("response_format") or {"type": "text"}) != {"type": "text"}),
        ("several-choices", (body.get("n") or 1) > 1),
        ("unknown-field", has_unknown_field(body)),
        ("logprobs", bool(body.get("logprobs") or body.get("top_logprobs"))),
        (
            "media",
            "audio" in body or any(extract_text(message) is None for message in request.messages),
        ),
        ("temperature", (body.get("temperature") or 0) > cache.max_temperature),
    ):
        if applies:
            return reason
    return _question_ineligibility(extract_question(request), cache)


def _question_ineligibility(question: str | None, cache: CacheSettings) -> str | None:
    if question is None:
        return "no-question"
    rules: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("long-question", lambda: len(question) > MAX_QUESTION_LENGTH),
        ("unseen", lambda: has_hidden_text(question)),
        ("wording", lambda: is_about_wording(question)),
        # Both narrow on purpose: a bank's FAQ says "my" and "today" all the time and still has one
        # answer for everybody.
        ("time-sensitive", lambda: not cache.time_sensitive and is_time_sensitive(question)),
        ("personal", lambda: not cache.personal and is_personal(question)),
        # The two rules above say nothing about a language that they cannot read.
        (
            "unknown-language",
            lambda: (
                not (cache.time_sensitive and cache.personal) and not is_known_language(question)
            ),
        ),
    )
    return next((reason for reason, applies in rules if applies()), None)


def _uses_tools(request: ChatRequest) -> bool:
    """Return whether the request offers tools, or its messages hold tool calls or results."""
    # An agent's step: the same words after other results are another step, and a stored call would
    # be made again.
    if offers_tools(request.body):
        return True
    return any(
        message["role"] in ("tool", "function") or any(message.get(field) for field in CALL_FIELDS)
        for message in request.messages
    )


def is_online_model(model: str) -> bool:
    """Return whether a model of that name searches the web by itself."""
    return _ONLINE_MODEL_NAME.search(model) is not None


def extract_question(request: ChatRequest) -> str | None:
    """Return the final message's text if it is a user's and not blank, else None."""
    final = request.messages[-1]
    # An assistant's prefill or a tool result is no question.
    if final["role"] != "user":
        return None
    text = extract_text(final)
    return text if text and text.strip() else None


def is_cacheable_answer(completion: dict[str, Any] | None) -> bool:
    """Return whether a completion is whole, non-empty and ended by itself, whatever the request."""
    return not _completion_ineligibility(completion)


def answer_ineligibility(
    request: ChatRequest, completion: dict[str, Any] | None, tool_calls: ToolCallReuse
) -> NotStoredReason:
    """Return why this answer to this request must not be stored, or "" if it may be.

    `tool_calls`: which tool calls the plan stores.
    """
    if reason := _completion_ineligibility(completion):
        return reason
    assert completion is not None  # noqa: S101 -- or it would have been refused
    choices = completion["choices"]
    indexes = {choice.get("index", 0) for choice in choices}
    wanted = request.body.get("n")
    if (isinstance(wanted, int) and len(choices) < wanted) or len(indexes) < len(choices):
        return "not-understood"
    checks = _AnswerChecks(request.body)
    reasons = (_message_ineligibility(checks, choice["message"], tool_calls) for choice in choices)
    return next((reason for reason in reasons if reason), "")


def _completion_ineligibility(completion: dict[str, Any] | None) -> NotStoredReason:
    """Return why the completion must not be stored whatever the request, or ""."""
    if (
        not completion
        or not isinstance(completion.get("choices"), list)
        or not completion["choices"]
    ):
        return "no-answer"
    if completion.get("error"):
        return "status"
    return next(
        (reason for choice in completion["choices"] if (reason := _choice_ineligibility(choice))),
        "",
    )


def _choice_ineligibility(choice: Any) -> NotStoredReason:
    message = choice.get("message") if isinstance(choice, dict) else None
    if (
        not isinstance(message, dict)
        or not isinstance(choice.get("index", 0), int)
        or not _has_known_shape(message)
    ):
        return "not-understood"
    if choice.get("error"):
        return "status"
    finish = choice.get("finish_reason")
    word = finish.lower() if isinstance(finish, str) else ""
    if word not in STOP_FINISH_REASONS and not (
        word in TOOL_FINISH_REASONS and _collect_tool_calls(message)
    ):
        return "finish-reason"
    if _collect_tool_calls(message) or message.get("audio") or message.get("refusal"):
        return ""
    content = message.get("content")
    said = content.strip() if isinstance(content, str) else content
    return "" if said else "no-answer"


def _has_known_shape(message: dict[str, Any]) -> bool:
    """Return whether content, tool calls, refusal and audio have the types that clients expect."""
    content, calls = message.get("content"), message.get("tool_calls")
    parts = isinstance(content, list) and all(isinstance(part, dict) for part in content)
    listed = calls is None or (
        isinstance(calls, list) and all(isinstance(call, dict) for call in calls)
    )
    return (
        (content is None or isinstance(content, str) or parts)
        and listed
        and isinstance(message.get("refusal"), str | None)
        and isinstance(message.get("function_call"), dict | None)
        and isinstance(message.get("audio"), dict | None)
    )


def _collect_tool_calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the message's tool calls, OpenAI's older `function_call` in the newer shape."""
    older = message.get("function_call")
    return [
        *(message.get("tool_calls") or []),
        *([{"type": "function", "function": older}] if older else []),
    ]


class _AnswerChecks:
    """A request's body, offered tools and step limit, shared by all checks of one answer."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.steps = StepLimit()

    @cached_property
    def offered_tools(self) -> tuple[dict[str, Any], set[str]]:
        """Parameters by function name, and the names of custom tools."""
        return _index_offered_tools(self.body)


def _message_ineligibility(
    checks: _AnswerChecks, message: dict[str, Any], tool_calls: ToolCallReuse
) -> NotStoredReason:
    calls, forced = _collect_tool_calls(message), is_call_forced(checks.body)
    if calls:
        # A forced call is the output itself, not a step of an agent.
        if tool_calls == "none" or (tool_calls == "output" and not forced):
            return "tool-calls"
        return _tool_calls_ineligibility(checks, calls)
    return "no-tool-call" if forced else _format_ineligibility(checks, message)


def _format_ineligibility(checks: _AnswerChecks, message: dict[str, Any]) -> NotStoredReason:
    """Return why the message is not the JSON that `response_format` asks for, or ""."""
    wanted = checks.body.get("response_format")
    if not isinstance(wanted, dict) or (kind := wanted.get("type")) not in (
        "json_object",
        "json_schema",
    ):
        return ""
    if message.get("refusal"):
        return "refusal"
    try:
        value = parse_strict_json(message.get("content"))
    except NotJson:
        return "invalid-json"
    if kind == "json_object":
        return "" if isinstance(value, dict) else "invalid-json"
    named = wanted.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(value, dict | list) and not (isinstance(schema, dict) and schema.get("type")):
        return "invalid-json"  # a number or a word alone, where no schema asks for one
    return "" if matches_schema(value, schema, checks.steps) else "schema"


def is_call_forced(body: dict[str, Any]) -> bool:
    """Return whether the request makes the model call a tool."""
    choice, older = body.get("tool_choice"), body.get("function_call")
    if isinstance(choice, dict):
        allowed = (
            choice.get("allowed_tools", choice) if choice.get("type") == "allowed_tools" else None
        )
        return (
            allowed.get("mode") == "required"
            if isinstance(allowed, dict)
            else choice.get("type") not in ("auto", "none")
        )
    return choice in ("required", "any") or isinstance(older, dict)


def _tool_calls_ineligibility(
    checks: _AnswerChecks, calls: list[dict[str, Any]]
) -> NotStoredReason:
    """Return why the client could not make one of the calls, or "".

    Its tool was not offered, or its arguments do not fit the tool's parameters.
    """
    functions, customs = checks.offered_tools
    for call in calls:
        custom = call.get("custom")
        if call.get("type") == "custom" and isinstance(custom, dict):
            if str(custom.get("name")) not in customs or not isinstance(custom.get("input"), str):
                return "tool-arguments"
            continue
        function = call.get("function")
        if not isinstance(function, dict) or call.get("type", "function") not in (
            "function",
            "",
            None,
        ):
            return "not-understood"
        if not _can_be_called(function, functions, checks.steps):
            return "tool-arguments"
    return "tool-arguments" if _calls_wrong_tool(checks.body, calls) else ""


def _index_offered_tools(body: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the parameters by function name, and the names of custom tools."""
    functions: dict[str, Any] = {}
    customs: set[str] = set()
    for tool in [
        *_filter_dicts(body.get("tools")),
        *({"function": function} for function in _filter_dicts(body.get("functions"))),
    ]:
        function, custom = tool.get("function"), tool.get("custom")
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            functions[function["name"]] = function.get("parameters")
        if isinstance(custom, dict) and isinstance(custom.get("name"), str):
            customs.add(custom["name"])
    return functions, customs


def _filter_dicts(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _can_be_called(function: dict[str, Any], offered: dict[str, Any], steps: StepLimit) -> bool:
    name = function.get("name")
    if not isinstance(name, str) or name not in offered:
        return False
    try:
        arguments = parse_strict_json(function.get("arguments"))
    except NotJson:
        return False
    return isinstance(arguments, dict) and matches_schema(arguments, offered[name], steps)


def _calls_wrong_tool(body: dict[str, Any], calls: list[dict[str, Any]]) -> bool:
    """Return whether the request names the tool to call, and another was called."""
    choice, older = body.get("tool_choice"), body.get("function_call")
    asked = choice.get("function") or choice.get("custom") if isinstance(choice, dict) else older
    name = asked.get("name") if isinstance(asked, dict) else None
    return isinstance(name, str) and any(
        (call.get("custom") or call.get("function") or {}).get("name") != name for call in calls
    )
