"""Which requests the semantic tier may answer at all, and which answers may be stored. Each rule has a name, which the client sees.

The rules on time and person are narrow on purpose: a bank's FAQ says "my" and "today" all the time and still has one answer for everybody.
"""

import re
from typing import Any

from plans.snapshot import CacheSettings
from proxy.core.chat import ChatRequest, text_of
from proxy.core.hidden_text import is_hidden
from proxy.core.languages.known import is_known_language
from proxy.core.model_input import CALLS, holds_unknown_field, offers_tools
from proxy.core.personal import is_personal
from proxy.core.timely import is_timely
from proxy.core.wording import is_about_wording

# The embedder reads 256 word pieces: two longer questions that differ at the end would look the same to it.
MAX_QUESTION = 1000
# Who asks a model of that name asks the web: perplexity's sonar, an openai search model, any model of openrouter with `:online`.
_ONLINE = re.compile(r"(?:^|[-/:.])(?:online|sonar|search|deep-research|compound)(?:$|[-/:.])", re.IGNORECASE)
# The reason of questions that the embedder does not understand, which the tokenizer tells.
VOCABULARY = "vocabulary"


def semantic_refusal(request: ChatRequest, cache: CacheSettings) -> str | None:
    """Why this request is for the exact tier only; None when the semantic tier may answer it."""
    body = request.body
    for reason, applies in (
        ("tools", _uses_tools(request)),
        ("structured", (body.get("response_format") or {"type": "text"}) != {"type": "text"}),
        ("several-choices", (body.get("n") or 1) > 1),
        ("unknown-field", holds_unknown_field(body)),
        ("logprobs", bool(body.get("logprobs") or body.get("top_logprobs"))),
        ("media", "audio" in body or any(text_of(message) is None for message in request.messages)),
        ("temperature", (body.get("temperature") or 0) > cache.max_temperature),
    ):
        if applies:
            return reason
    return _question_refusal(question_of(request), cache)


def _question_refusal(question: str | None, cache: CacheSettings) -> str | None:
    if question is None:
        return "no-question"
    for reason, applies in (
        ("long-question", lambda: len(question) > MAX_QUESTION),
        ("unseen", lambda: is_hidden(question)),
        ("wording", lambda: is_about_wording(question)),
        ("time-sensitive", lambda: not cache.time_sensitive and is_timely(question)),
        ("personal", lambda: not cache.personal and is_personal(question)),
        # The two rules above say nothing about a language that they cannot read.
        ("unknown-language", lambda: not (cache.time_sensitive and cache.personal) and not is_known_language(question)),
    ):
        if applies():
            return reason
    return None


def _uses_tools(request: ChatRequest) -> bool:
    """Whether it is an agent's step: the same words after other results are another step, and a stored call would be made again."""
    if offers_tools(request.body):
        return True
    return any(message["role"] in ("tool", "function") or any(message.get(field) for field in CALLS) for message in request.messages)


def is_online(model: str) -> bool:
    """Whether a model of that name looks things up by itself."""
    return _ONLINE.search(model) is not None


def question_of(request: ChatRequest) -> str | None:
    """The final message's text when a user said it, else None: an assistant's prefill or a tool result is no question."""
    final = request.messages[-1]
    if final["role"] != "user":
        return None
    text = text_of(final)
    return text if text and text.strip() else None


def admissible(completion: dict[str, Any] | None) -> bool:
    """Whether an answer may be stored: whole, non-empty, every choice finished by itself (`stop`)."""
    choices = completion.get("choices") if completion else None
    return bool(choices) and isinstance(choices, list) and all(_complete(choice) for choice in choices)


def _complete(choice: Any) -> bool:
    if not isinstance(choice, dict) or choice.get("finish_reason") != "stop":
        return False
    message = choice.get("message")
    return isinstance(message, dict) and any(message.get(field) for field in ("content", "refusal", "tool_calls", "audio"))
