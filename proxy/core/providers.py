"""The one table of providers: what differs from most of them.

By the id of the provider's price list, which an upstream names. A provider without a row caches
prefixes by itself, counts reasoning as completion, and reports its usage in OpenAI's names.
"""

from dataclasses import dataclass
from typing import Final

# OpenAI keeps an unused prefix for five to ten minutes and Anthropic for five (`evaluation.rules`
# cites their pages). Of others little is published. A warm chat taken for a cold one is at worst
# compressed too early.
PREFIX_LIFETIME_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What is known of one provider."""

    id: str
    prefix_lifetime_seconds: float = PREFIX_LIFETIME_SECONDS
    # It caches only prefixes that end at a breakpoint. Others may answer 400 to the unknown field.
    reads_breakpoints: bool = False
    # Its own hosts that have no prefix cache.
    hosts_without_cache: frozenset[str] = frozenset()
    # `completion_tokens` exclude reasoning, in case the total is omitted.
    has_reasoning_apart: bool = False
    # Citations are billed as output, beside the completion.
    bills_citations: bool = False
    # A charge of 0 is the bill; others report 0 if they do not know the price.
    is_free_charge_billed: bool = False
    # In the conventions of OpenTelemetry, where that is not the id.
    trace_name: str = ""
    # Names in its usage report. Gateways pass reports on, so all names are read from everybody.
    prompt_names: tuple[str, ...] = ()
    completion_names: tuple[str, ...] = ()
    total_names: tuple[str, ...] = ()
    cache_read_names: tuple[str, ...] = ()
    cache_write_names: tuple[str, ...] = ()
    reasoning_names: tuple[str, ...] = ()


PROVIDERS: Final = (
    Provider(
        id="openai",
        prompt_names=("prompt_tokens",),
        completion_names=("completion_tokens",),
        total_names=("total_tokens",),
        cache_read_names=("cached_tokens",),
        cache_write_names=("cache_write_tokens",),
        reasoning_names=("reasoning_tokens",),
    ),
    Provider(
        id="anthropic",
        prefix_lifetime_seconds=300.0,
        reads_breakpoints=True,
        # The endpoint for the OpenAI SDK has no prefix cache
        # (platform.claude.com/docs/en/cli-sdks-libraries/libraries/openai-sdk). Gateways that turn
        # chat completions into Anthropic's own requests have one.
        hosts_without_cache=frozenset({"api.anthropic.com"}),
        prompt_names=("input_tokens",),
        completion_names=("output_tokens",),
        cache_read_names=("cache_read_input_tokens",),
        # The first is what gateways such as LiteLLM write.
        cache_write_names=("cache_creation_tokens", "cache_creation_input_tokens"),
    ),
    Provider(
        id="google",
        has_reasoning_apart=True,
        trace_name="gcp.gemini",
        prompt_names=("promptTokenCount",),
        completion_names=("candidatesTokenCount",),
        total_names=("totalTokenCount",),
        cache_read_names=("cachedContentTokenCount",),
        reasoning_names=("thoughtsTokenCount",),
    ),
    Provider(
        id="aws",
        trace_name="aws.bedrock",
        prompt_names=("inputTokens",),
        completion_names=("outputTokens",),
        total_names=("totalTokens",),
        cache_read_names=("cacheReadInputTokens",),
    ),
    Provider(id="azure", trace_name="azure.ai.openai"),
    Provider(id="deepseek", cache_read_names=("prompt_cache_hit_tokens",)),
    Provider(id="mistral", trace_name="mistral_ai"),
    Provider(id="openrouter", is_free_charge_billed=True),
    Provider(id="perplexity", bills_citations=True),
    Provider(id="x-ai", has_reasoning_apart=True, trace_name="x_ai"),
)
# Names that servers and gateways without a price list use.
_OTHER_CACHE_READ_NAMES: Final = ("num_cached_tokens", "cache_read_tokens")
_OTHER_REASONING_NAMES: Final = ("thinking_tokens",)

_PROVIDERS_BY_ID: Final = {provider.id: provider for provider in PROVIDERS}
_ORDINARY_PROVIDER: Final = Provider(id="")

# Where a report has several, the first one counts.
PROMPT_NAMES: Final = tuple(name for each in PROVIDERS for name in each.prompt_names)
COMPLETION_NAMES: Final = tuple(name for each in PROVIDERS for name in each.completion_names)
TOTAL_NAMES: Final = tuple(name for each in PROVIDERS for name in each.total_names)
CACHE_READ_NAMES: Final = (
    *(name for each in PROVIDERS for name in each.cache_read_names),
    *_OTHER_CACHE_READ_NAMES,
)
CACHE_WRITE_NAMES: Final = tuple(name for each in PROVIDERS for name in each.cache_write_names)
REASONING_NAMES: Final = (
    *(name for each in PROVIDERS for name in each.reasoning_names),
    *_OTHER_REASONING_NAMES,
)


def get_provider(provider_id: str) -> Provider:
    """Return the row of the provider; without one, what holds for most."""
    return _PROVIDERS_BY_ID.get(provider_id, _ORDINARY_PROVIDER)
