"""What a provider says it billed (platform.openai.com/docs/api-reference/chat/object, `usage`), or our own count where it says nothing.

Tokens of the provider's prefix cache have several names. Read: `prompt_tokens_details.cached_tokens`, for Anthropic's models also
`cache_read_input_tokens`. Written: `prompt_tokens_details.cache_write_tokens` (OpenAI from GPT-5.6 on,
developers.openai.com/api/docs/guides/prompt-caching; OpenRouter, openrouter.ai/docs/use-cases/usage-accounting), `cache_creation_tokens`
there or `cache_creation_input_tokens` beside it (Anthropic's models behind LiteLLM, docs.litellm.ai/docs/completion/prompt_caching, and
others). Names that stand side by side speak of the same tokens. OpenAI's `prompt_tokens` count them all, Anthropic's `input_tokens`
neither; a gateway that passes the latter on as `prompt_tokens` (Portkey) has a `total_tokens` that gives it away, or counts that do not
fit.
"""

from typing import Any

from proxy.core.exchange import Usage
from proxy.core.ports import Message
from proxy.core.tokens import count_messages, count_text, encoding_for

READ = ("cached_tokens", "cache_read_input_tokens")
WRITTEN = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")


def reported_usage(value: Any) -> Usage | None:
    """The usage object read; None when it is absent or makes no sense."""
    if not isinstance(value, dict):
        return None
    prompt, completion = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    cached, written = _of_cache(value, READ), _of_cache(value, WRITTEN)
    apart = cached + written
    if apart and (apart > prompt or value.get("total_tokens") == prompt + apart + completion):
        prompt += apart
    return Usage(prompt=prompt, completion=completion, cached=cached, written=written)


def _of_cache(value: dict[str, Any], names: tuple[str, ...]) -> int:
    """The tokens that go by one of these names, 0 where none is there."""
    details = value.get("prompt_tokens_details")
    places = (value, details) if isinstance(details, dict) else (value,)
    return max(_count(place.get(name)) or 0 for place in places for name in names)


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None


def estimated_usage(messages: list[Message], completion: dict[str, Any] | None, *, model: str) -> Usage:
    """Tokens counted with the model's tokenizer. CPU work: milliseconds for a long chat, so not for the event loop."""
    encoding, _ = encoding_for(model)
    choices = (completion or {}).get("choices") or []
    answers = [choice.get("message") or {} for choice in choices if isinstance(choice, dict)]
    spoken = [text for answer in answers for field in ("content", "refusal") if isinstance(text := answer.get(field), str)]
    return Usage(prompt=count_messages(messages, encoding), completion=sum(count_text(text, encoding) for text in spoken), estimated=True)
