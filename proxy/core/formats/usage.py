"""Read the usage a provider reports, or count tokens if it reports none.

Numbers may be floats without a fraction or digits in a string. Negative, malformed and absurd ones
are ignored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any, Final

from plans.pricing import NO_TOKEN_DETAILS, TokenDetails
from proxy.core.providers import (
    CACHE_READ_NAMES,
    CACHE_WRITE_NAMES,
    COMPLETION_NAMES,
    PROMPT_NAMES,
    REASONING_NAMES,
    TOTAL_NAMES,
    get_provider,
)
from proxy.core.tokens import TOKENS_PER_TOOL_CALL, count_prompt_tokens, count_text, find_encoding
from proxy.core.types import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as billed."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    # Part of `prompt_tokens`, at the provider's cached price.
    cached_tokens: int = 0
    # Other prompt tokens, which were written to the provider's cache.
    cache_write_tokens: int = 0
    # Tokens of all of these that may have a price of their own.
    details: TokenDetails = NO_TOKEN_DETAILS
    # What the provider says it charged, if anything.
    charged_usd: Decimal | None = None
    # The tier that the provider says it used.
    service_tier: str = ""
    # Counted by the gateway.
    is_estimated: bool = False


# Where usage is reported: in `usage` of a completion or of any chunk
# (platform.openai.com/docs/api-reference/chat/object), in that of a choice (Moonshot), in
# `x_groq.usage` (Groq), in `usageMetadata` (Gemini). The chunks of a stream may each have a part of
# it, or each the sum so far: of every number the largest counts.
#
# Tokens read from the prefix cache: `prompt_tokens_details.cached_tokens` (OpenAI), `cached_tokens`
# (Moonshot), `prompt_cache_hit_tokens` (DeepSeek), `cache_read_input_tokens` (Anthropic). Written:
# `cache_write_tokens` (OpenAI from GPT-5.6 on, OpenRouter), `cache_creation_tokens` there or
# `cache_creation_input_tokens` beside it (Anthropic's models behind LiteLLM and others), by
# `cache_creation.ephemeral_1h_input_tokens` for an hour. Several such names in one place describe
# the same tokens. OpenAI's `prompt_tokens` include them all, Anthropic's `input_tokens` neither;
# whoever passes the latter on as `prompt_tokens` (Portkey) has a `total_tokens` that reveals it, or
# more cached tokens than prompt.
#
# Reasoning is part of OpenAI's `completion_tokens`, but not of xAI's and Gemini's
# (docs.x.ai/docs/guides/reasoning, ai.google.dev/gemini-api/docs/thinking), which is billed all the
# same. `total_tokens` shows it: what exceeds prompt and completion is output. Without it, more
# reasoning than completion cannot be a part of it.
#
# Charges: `cost` in US dollars (openrouter.ai/docs/use-cases/usage-accounting; with one's own key
# (`is_byok`) the provider behind also charges `upstream_inference_cost`), `cost.total_cost`
# (Perplexity), `cost_in_usd_ticks`, of which 10^10 are a dollar
# (docs.x.ai/developers/cost-tracking).
MAX_USAGE_TOKENS: Final = 100_000_000  # ten times the longest prompt that any provider accepts
MAX_USAGE_CHOICES: Final = 1000  # whose usage is read
MAX_SERVICE_TIER_LENGTH: Final = 40
MAX_USAGE_NAMES: Final = 200  # read of a usage; a tenth of that in nested objects
MAX_COST_USD: Final = Decimal(100_000)
TICKS_PER_USD: Final = Decimal(10**10)
ANTHROPIC_NAMES: Final = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
)
PROMPT_DETAILS_NAMES: Final = ("prompt_tokens_details", "input_tokens_details")
COMPLETION_DETAILS_NAMES: Final = ("completion_tokens_details", "output_tokens_details")
ORDINARY_NAMES: Final = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        PROMPT_DETAILS_NAMES[0],
        COMPLETION_DETAILS_NAMES[0],
    }
)
UsageReport = Mapping[str, Any]
_EMPTY_REPORT: Final[UsageReport] = {}


class UsageReader:
    """Accumulates the usage that the chunks of a stream report."""

    def __init__(self) -> None:
        self._usage: dict[str, Any] = {}
        self._usage_elsewhere: dict[str, Any] = {}
        self._choice_usages: dict[Any, dict[str, Any]] = {}
        self._service_tier: Any = None

    def take_chunk(self, chunk: UsageReport) -> None:
        """Merge one chunk, whatever it holds. Never raises."""
        _merge_largest(self._usage, chunk.get("usage"))
        for place in _iter_other_places(chunk):
            _merge_largest(self._usage_elsewhere, place)
        for number, choice in enumerate(_list_choices(chunk)):
            if isinstance(choice.get("usage"), dict):
                index = choice.get("index")
                _merge_largest(
                    self._choice_usages.setdefault(index if isinstance(index, int) else number, {}),
                    choice["usage"],
                )
        self._service_tier = chunk.get("service_tier") or self._service_tier

    @property
    def raw_usage(self) -> dict[str, Any]:
        """The merged usage of all chunks; empty if none had any."""
        return self._usage

    def build_usage(self, provider: str = "") -> Usage | None:
        """Return the usage of all chunks; None if they report none."""
        choices = [{"usage": usage} for usage in self._choice_usages.values()]
        found = {
            "usage": self._usage,
            "choices": choices,
            "usageMetadata": self._usage_elsewhere,
            "service_tier": self._service_tier,
        }
        return find_usage(found, provider)


def find_usage(completion: UsageReport | None, provider: str = "") -> Usage | None:
    """Find the usage in a completion, wherever it is; None if there is none or it is nonsense."""
    if completion is None:
        return None
    found, tier = None, completion.get("service_tier")
    tier = tier[:MAX_SERVICE_TIER_LENGTH] if isinstance(tier, str) else ""
    for place in (
        completion.get("usage"),
        *_iter_other_places(completion),
        _merge_choice_usages(completion),
    ):
        read = parse_usage(place, provider, tier)
        if read is not None and (
            read.prompt_tokens or read.completion_tokens or read.charged_usd is not None
        ):
            found = read
            break
        found = found or read
    return found


def parse_usage(value: Any, provider: str = "", service_tier: str = "") -> Usage | None:
    """Parse a usage object; None if it is absent or makes no sense.

    Without tokens it may still hold a charge.
    """
    if not isinstance(value, dict):
        return None
    return parse_ordinary_usage(value, service_tier) or parse_any_usage(
        value, provider, service_tier
    )


def parse_ordinary_usage(value: UsageReport, service_tier: str = "") -> Usage | None:
    """Parse a usage in OpenAI's format without special token kinds; None for any other."""
    # Nearly every usage is one, and this takes a tenth of the work.
    if not value.keys() <= ORDINARY_NAMES:
        return None
    prompt, completion = value.get("prompt_tokens"), value.get("completion_tokens")
    if (
        type(prompt) is not int
        or type(completion) is not int
        or value.get("total_tokens") != prompt + completion
    ):
        return None
    sent, said = (
        value.get("prompt_tokens_details") or _EMPTY_REPORT,
        value.get("completion_tokens_details") or _EMPTY_REPORT,
    )
    if not isinstance(sent, dict) or not isinstance(said, dict):
        return None
    cached = sent.get("cached_tokens") or 0
    if (
        type(cached) is not int
        or not 0 <= cached <= prompt <= MAX_USAGE_TOKENS
        or not 0 <= completion <= MAX_USAGE_TOKENS
    ):
        return None
    if any(number for name, number in sent.items() if name != "cached_tokens") or any(
        said.values()
    ):
        return None
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        service_tier=service_tier,
    )


def parse_any_usage(value: UsageReport, provider: str = "", service_tier: str = "") -> Usage | None:
    """Parse a usage in any provider's format."""
    charged = _parse_charge(value, provider)
    prompt, completion, total = (
        _find_count((value,), names) for names in (PROMPT_NAMES, COMPLETION_NAMES, TOTAL_NAMES)
    )
    if total is not None and total > MAX_USAGE_TOKENS:
        total = None
    if prompt is None and completion is not None and total is not None:
        prompt = total - completion
    elif completion is None and prompt is not None and total is not None:
        completion = total - prompt
    if prompt is None or completion is None or prompt < 0 or completion < 0:
        return None if charged is None else Usage(charged_usd=charged, service_tier=service_tier)
    cached, written = (
        _count_cache_tokens(value, CACHE_READ_NAMES),
        max(_count_cache_tokens(value, CACHE_WRITE_NAMES), sum(_count_by_lifetime(value))),
    )
    if _is_cache_apart(value, prompt, completion, total, cached + written):
        prompt += cached + written
    cached = min(cached, prompt)
    written = min(written, prompt - cached)
    completion = _add_reasoning(value, prompt, completion, total, provider)
    if max(prompt, completion) > MAX_USAGE_TOKENS:
        return None if charged is None else Usage(charged_usd=charged, service_tier=service_tier)
    details = _parse_details(value, prompt, completion, cached, written)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        cache_write_tokens=written,
        details=details,
        charged_usd=charged,
        service_tier=service_tier,
    )


def _is_cache_apart(
    value: UsageReport, prompt: int, completion: int, total: int | None, cache: int
) -> bool:
    """Return whether the prompt's tokens exclude those of the prefix cache."""
    if not cache:
        return False
    if total == prompt + completion + cache and (
        cache > prompt or cache != _count_reasoning(value)
    ):
        return True
    return cache > prompt and any(name in value for name in ANTHROPIC_NAMES)


def _add_reasoning(
    value: UsageReport, prompt: int, completion: int, total: int | None, provider: str
) -> int:
    """Return the tokens billed as output."""
    reasoning, citations = _count_reasoning(value), _find_count((value,), ("citation_tokens",)) or 0
    if total is not None and total > prompt + completion:
        return total - prompt
    if reasoning > completion or (total is None and get_provider(provider).has_reasoning_apart):
        completion += reasoning
    return completion + (citations if get_provider(provider).bills_citations else 0)


def _parse_details(
    value: UsageReport, prompt: int, completion: int, cached: int, written: int
) -> TokenDetails:
    """Return the parts that may have a price of their own, limited to what they are part of."""
    sent, said = (
        _find_details(value, PROMPT_DETAILS_NAMES),
        _find_details(value, COMPLETION_DETAILS_NAMES),
    )
    fresh = prompt - cached - written
    warm = tuple(
        each for place in sent if isinstance(each := place.get("cached_tokens_details"), dict)
    )
    parts: dict[str, int] = {}
    left = cached
    for kind in ("audio", "image"):
        named = _find_count(sent, (f"{kind}_tokens",)) or 0
        both = min(_find_count(warm, (f"{kind}_tokens",)) or 0, named, left)
        both = min(max(both, named - fresh), left, named)  # more than is fresh must be cached
        parts[f"cached_{kind}"], parts[kind] = both, both + min(named - both, fresh)
        left, fresh = left - both, fresh - min(named - both, fresh)
    parts["video"] = min(_find_count(sent, ("video_tokens",)) or 0, fresh)
    out = completion
    for name, key in (
        ("output_audio", "audio_tokens"),
        ("output_image", "image_tokens"),
        ("output_video", "video_tokens"),
    ):
        parts[name] = min(_find_count(said, (key,)) or 0, out)
        out -= parts[name]
    parts["citation"] = min(_find_count((value,), ("citation_tokens",)) or 0, out)
    parts["reasoning"] = min(_count_reasoning(value), out - parts["citation"])
    parts["written_1h"] = min(_count_by_lifetime(value)[1], written)
    parts["searches"] = _count_searches(value)
    return TokenDetails(**parts)


def _count_searches(value: UsageReport) -> int:
    tools = value.get("server_tool_use")
    places = (value, tools) if isinstance(tools, dict) else (value,)
    return min(_find_count(places, ("num_search_queries", "web_search_requests")) or 0, 10_000)


def _count_reasoning(value: UsageReport) -> int:
    return max(
        (
            _parse_count(place.get(name)) or 0
            for place in (value, *_find_details(value, COMPLETION_DETAILS_NAMES))
            for name in REASONING_NAMES
        ),
        default=0,
    )


def _count_by_lifetime(value: UsageReport) -> tuple[int, int]:
    """Return the tokens written for five minutes and for an hour, as Anthropic reports them."""
    found = [value.get("cache_creation")]
    found += [
        place.get(name)
        for place in _find_details(value, PROMPT_DETAILS_NAMES)
        for name in ("cache_creation", "cache_creation_token_details")
    ]
    places = [each for each in found if isinstance(each, dict)]
    return _find_count(places, ("ephemeral_5m_input_tokens",)) or 0, _find_count(
        places, ("ephemeral_1h_input_tokens",)
    ) or 0


def _count_cache_tokens(value: UsageReport, names: tuple[str, ...]) -> int:
    """Return the largest count under one of these names; 0 if there is none."""
    return max(
        (
            _parse_count(place.get(name)) or 0
            for place in (value, *_find_details(value, PROMPT_DETAILS_NAMES))
            for name in names
        ),
        default=0,
    )


def _parse_charge(value: UsageReport, provider: str) -> Decimal | None:
    """Return the US dollars that the provider says it charged, if any."""
    ticks = _parse_amount(value.get("cost_in_usd_ticks"))
    if ticks is not None:
        return _drop_absurd_cost(ticks / TICKS_PER_USD)
    cost, details = value.get("cost"), value.get("cost_details")
    paid = _parse_amount(cost.get("total_cost") if isinstance(cost, dict) else cost)
    if paid is None:
        return None
    behind = (
        _parse_amount(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
    )
    own_key = value.get("is_byok")
    if own_key is True and behind is None:
        return None  # the provider's own charge is unknown
    if behind is not None and (own_key is True or (own_key is None and behind > paid)):
        paid += behind
    is_bill = paid or get_provider(provider).is_free_charge_billed
    return _drop_absurd_cost(paid) if is_bill else None


def _drop_absurd_cost(dollars: Decimal) -> Decimal | None:
    return dollars if dollars <= MAX_COST_USD else None


def _parse_amount(value: Any) -> Decimal | None:
    """Parse a number of at least 0; None for anything else."""
    if type(value) is int:  # of any length: converting it to text may be slow
        return Decimal(value) if 0 <= value < 10**30 else None
    if not isinstance(value, float | str) or len(str(value)) > 40:
        return None
    # Floats keep the decimal digits they were written with.
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def _parse_count(value: Any) -> int | None:
    if type(value) is int:
        return value if 0 <= value <= 10 * MAX_USAGE_TOKENS else None
    amount = _parse_amount(value)
    if amount is None or amount != amount.to_integral_value() or amount > 10 * MAX_USAGE_TOKENS:
        return None
    return int(amount)


def _find_count(places: Sequence[UsageReport], names: tuple[str, ...]) -> int | None:
    """Return the first count above 0 under one of these names; 0 if all are 0, None without any."""
    found = [
        count
        for place in places
        for name in names
        if (count := _parse_count(place.get(name))) is not None
    ]
    return next((count for count in found if count), 0 if found else None)


def _find_details(value: UsageReport, names: tuple[str, ...]) -> tuple[UsageReport, ...]:
    return tuple(each for name in names if isinstance(each := value.get(name), dict))


def _iter_other_places(body: UsageReport) -> Iterator[Any]:
    groq = body.get("x_groq")
    if isinstance(groq, dict):
        yield groq.get("usage")
    yield body.get("usageMetadata")


def _list_choices(body: UsageReport) -> list[dict[str, Any]]:
    choices = body.get("choices")
    return (
        [choice for choice in choices[:MAX_USAGE_CHOICES] if isinstance(choice, dict)]
        if isinstance(choices, list)
        else []
    )


def _merge_choice_usages(body: UsageReport) -> dict[str, Any] | None:
    """Merge the usage that several choices report: one prompt, and the sum of their outputs."""
    found = [
        choice["usage"] for choice in _list_choices(body) if isinstance(choice.get("usage"), dict)
    ]
    # Equal reports are one report repeated.
    if len(found) < 2 or all(usage == found[0] for usage in found):
        return found[0] if found else None
    whole: dict[str, Any] = {}
    for usage in found:
        _merge_largest(whole, usage)
    whole["completion_tokens"] = sum(
        _find_count((usage,), COMPLETION_NAMES) or 0 for usage in found
    )
    for name in (*TOTAL_NAMES, *COMPLETION_DETAILS_NAMES):
        whole.pop(name, None)
    return whole


def _merge_largest(into: dict[str, Any], value: Any, most: int = MAX_USAGE_NAMES) -> None:
    """Merge a usage: of each number the largest, of other values the last.

    `most`: the most names read.
    """
    if not isinstance(value, dict) or len(into) > most:
        return
    for name, new in islice(value.items(), most):
        old = into.get(name)
        if isinstance(new, dict):
            if inner := most // 10:
                _merge_largest(
                    into.setdefault(name, {}) if isinstance(old, dict | None) else {}, new, inner
                )
        elif new is not None and _is_more(new, old):
            into[name] = new


def _is_more(new: Any, old: Any) -> bool:
    """Return whether a new value exceeds the old one."""
    before, after = _parse_amount(old), _parse_amount(new)
    return before is None or (after is not None and after > before)


def count_usage(messages: list[Message], completion: UsageReport | None, *, model: str) -> Usage:
    """Count the tokens with the model's tokenizer.

    CPU work: milliseconds for a long chat, so not for the event loop.
    """
    encoding, _ = find_encoding(model)
    answers = [
        message
        for choice in _list_choices(completion or {})
        if isinstance(message := choice.get("message"), dict)
    ]
    said = sum(_count_said_tokens(message, encoding) for message in answers)
    return Usage(
        prompt_tokens=count_prompt_tokens(messages, encoding),
        completion_tokens=said,
        is_estimated=True,
    )


def _count_said_tokens(message: UsageReport, encoding: str) -> int:
    """Count all output tokens of a message: text, refusal, reasoning and tool calls."""
    spoken = sum(
        count_text(text, encoding)
        for name in ("content", "refusal")
        for text in _iter_texts(message.get(name))
    )
    audio = message.get("audio")
    spoken += sum(
        count_text(text, encoding)
        for text in _iter_texts(audio.get("transcript") if isinstance(audio, dict) else None)
    )
    names = ("reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks")
    # Reasoning under several names is the same reasoning.
    reasoning = max(
        sum(count_text(text, encoding) for text in _iter_texts(message.get(name))) for name in names
    )
    calls = message.get("tool_calls")
    called = [message.get("function_call"), *(calls if isinstance(calls, list) else ())]
    return (
        spoken
        + reasoning
        + sum(_count_call_tokens(call, encoding) for call in called if isinstance(call, dict))
    )


def _count_call_tokens(call: UsageReport, encoding: str) -> int:
    function = next(
        (each for name in ("function", "custom") if isinstance(each := call.get(name), dict)), call
    )
    texts = [
        text for name in ("name", "arguments", "input") for text in _iter_texts(function.get(name))
    ]
    return TOKENS_PER_TOOL_CALL + sum(count_text(text, encoding) for text in texts)


def _iter_texts(value: Any, depth: int = 5) -> Iterator[str]:
    """Yield all texts in a content: whole, in parts, or in an object of unknown type."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth:
        for each in value:
            yield from _iter_texts(each, depth - 1)
    elif isinstance(value, dict) and depth:
        for name, each in value.items():
            if name not in (
                "type",
                "id",
                "signature",
                "format",
                "index",
                "encrypted_content",
                "data",
                "url",
            ):
                yield from _iter_texts(each, depth - 1)
