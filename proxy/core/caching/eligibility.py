"""Which requests the semantic tier may answer at all, and which answers may be stored.

Each rule has a name, which the client sees.

The rules on time and person are narrow on purpose: a bank's FAQ says "my" and "today" all the time
and still has one answer for everybody.
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
# Who asks a model of that name asks the web: perplexity's sonar, an openai search model, any model
# of openrouter with `:online`.
_ONLINE_MODEL_NAME = re.compile(
    r"(?:^|[-/:.])(?:online|sonar|search|deep-research|compound)(?:$|[-/:.])", re.IGNORECASE
)
# The reason of questions that the embedder does not understand, which the tokenizer tells.
VOCABULARY_REASON = "vocabulary"
# How providers say that an answer ended by itself, in lower case: OpenAI's word, and those of
# Together and TGI, watsonx, Anthropic, Cohere and servers that hand their names on. And how they
# say that it ended in calls of tools.
STOP_FINISH_REASONS = frozenset(
    {"stop", "eos", "eos_token", "end", "end_turn", "stop_sequence", "complete"}
)
TOOL_FINISH_REASONS = frozenset({"tool_calls", "tool_call", "tool_use", "function_call"})


def semantic_ineligibility(request: ChatRequest, cache: CacheSettings) -> str | None:
    """Why this request is for the exact tier only; None when the semantic tier may answer it."""
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
    """Whether it is an agent's step: the same words after other results are another step,
    and a stored call would be made again."""
    if offers_tools(request.body):
        return True
    return any(
        message["role"] in ("tool", "function") or any(message.get(field) for field in CALL_FIELDS)
        for message in request.messages
    )


def is_online_model(model: str) -> bool:
    """Whether a model of that name looks things up by itself."""
    return _ONLINE_MODEL_NAME.search(model) is not None


def extract_question(request: ChatRequest) -> str | None:
    """The final message's text when a user said it, else None:
    an assistant's prefill or a tool result is no question."""
    final = request.messages[-1]
    if final["role"] != "user":
        return None
    text = extract_text(final)
    return text if text and text.strip() else None


def is_cacheable_answer(completion: dict[str, Any] | None) -> bool:
    """Whether an answer is whole, non-empty and finished by itself, whatever was asked."""
    return not _completion_ineligibility(completion)


def answer_ineligibility(
    request: ChatRequest, completion: dict[str, Any] | None, tool_calls: ToolCallReuse
) -> NotStoredReason:
    """Why this answer to this request is not to be stored; "" when it may be.

    `tool_calls`: which calls the plan keeps.
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
    """What can be said of an answer without the request."""
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
    """Whether text, parts and calls are what clients expect them to be."""
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
    """The calls of an answer; OpenAI's older name for one is put into the newer shape."""
    older = message.get("function_call")
    return [
        *(message.get("tool_calls") or []),
        *([{"type": "function", "function": older}] if older else []),
    ]


class _AnswerChecks:
    """What an answer is checked against, found once for all of its choices and calls;
    they share the steps too."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.steps = StepLimit()

    @cached_property
    def offered_tools(self) -> tuple[dict[str, Any], set[str]]:
        """See `_index_offered_tools`."""
        return _index_offered_tools(self.body)


def _message_ineligibility(
    checks: _AnswerChecks, message: dict[str, Any], tool_calls: ToolCallReuse
) -> NotStoredReason:
    calls, forced = _collect_tool_calls(message), is_call_forced(checks.body)
    if calls:
        if tool_calls == "none" or (tool_calls == "output" and not forced):
            return "tool-calls"
        return _tool_calls_ineligibility(checks, calls)
    return "no-tool-call" if forced else _format_ineligibility(checks, message)


def _format_ineligibility(checks: _AnswerChecks, message: dict[str, Any]) -> NotStoredReason:
    """Why it is not the JSON that `response_format` asks for."""
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
    """Whether the answer has to call a tool: it is then the output itself,
    and not a step of an agent."""
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
    """Why a call could not be made by the client:
    its tool was not offered, or its arguments are not what the tool takes."""
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
    """Parameters by the name of each function, and the names of custom tools."""
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
    """Whether one tool was asked for by its name, and another was called."""
    choice, older = body.get("tool_choice"), body.get("function_call")
    asked = choice.get("function") or choice.get("custom") if isinstance(choice, dict) else older
    name = asked.get("name") if isinstance(asked, dict) else None
    return isinstance(name, str) and any(
        (call.get("custom") or call.get("function") or {}).get("name") != name for call in calls
    )
