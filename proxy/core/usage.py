"""What a provider says it billed (platform.openai.com/docs/api-reference/chat/object, `usage`), or our own count where it says nothing."""

from typing import Any

from proxy.core.exchange import Usage
from proxy.core.ports import Message
from proxy.core.tokens import count_messages, count_text, encoding_for


def reported_usage(value: Any) -> Usage | None:
    """The usage object read; None when it is absent or makes no sense."""
    if not isinstance(value, dict):
        return None
    details = value.get("prompt_tokens_details")
    prompt, completion = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    return Usage(prompt=prompt, completion=completion, cached=min(cached or 0, prompt))


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None


def estimated_usage(messages: list[Message], completion: dict[str, Any] | None, *, model: str) -> Usage:
    """Tokens counted with the model's tokenizer. CPU work: milliseconds for a long chat, so not for the event loop."""
    encoding, _ = encoding_for(model)
    choices = (completion or {}).get("choices") or []
    answers = [choice.get("message") or {} for choice in choices if isinstance(choice, dict)]
    spoken = [text for answer in answers for field in ("content", "refusal") if isinstance(text := answer.get(field), str)]
    return Usage(prompt=count_messages(messages, encoding), completion=sum(count_text(text, encoding) for text in spoken), estimated=True)
