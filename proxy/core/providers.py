"""The one table of providers: where they are, how they take a key, what differs from most of them.

By the id of the provider's price list, which an upstream names. A provider without a row caches
prefixes by itself, counts reasoning as completion, and reports its usage in OpenAI's names.
"""

from dataclasses import dataclass
from typing import Final, Literal

# The header that carries a key: `Authorization: Bearer <key>`, or the key alone in one of the name.
KeyHeader = Literal["bearer", "api-key", "x-api-key"]

# OpenAI keeps an unused prefix for five to ten minutes and Anthropic for five (`evaluation.rules`
# cites their pages). Of others little is published. A warm chat taken for a cold one is at worst
# compressed too early.
PREFIX_LIFETIME_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What is known of one provider."""

    id: str
    # As people call it; one without a title is not offered as a choice.
    title: str = ""
    # Of its OpenAI-compatible API; "" where every customer has an address of his own.
    base_url: str = ""
    # How an address looks, for a provider without a common one.
    address_example: str = ""
    # Its hosts: a name, or with a leading dot the end of one. Of a server of one's own none.
    hosts: tuple[str, ...] = ()
    key_header: KeyHeader = "bearer"
    # A server that people run themselves: no key, no TLS, a private address.
    is_self_hosted: bool = False
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
        title="OpenAI",
        base_url="https://api.openai.com/v1",
        hosts=("api.openai.com", ".api.openai.com"),
        prompt_names=("prompt_tokens",),
        completion_names=("completion_tokens",),
        total_names=("total_tokens",),
        cache_read_names=("cached_tokens",),
        cache_write_names=("cache_write_tokens",),
        reasoning_names=("reasoning_tokens",),
    ),
    Provider(
        id="anthropic",
        title="Anthropic (its OpenAI-compatible endpoint)",
        base_url="https://api.anthropic.com/v1",
        hosts=("api.anthropic.com",),
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
        title="Google Gemini (its OpenAI-compatible endpoint)",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        hosts=("generativelanguage.googleapis.com",),
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
    Provider(
        id="azure",
        title="Azure OpenAI",
        address_example="https://my-resource.openai.azure.com/openai/v1",
        hosts=(".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"),
        key_header="api-key",
        trace_name="azure.ai.openai",
    ),
    Provider(
        id="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        hosts=("api.deepseek.com",),
        cache_read_names=("prompt_cache_hit_tokens",),
    ),
    Provider(
        id="fireworks",
        title="Fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        hosts=("api.fireworks.ai",),
    ),
    Provider(
        id="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        hosts=("api.groq.com",),
    ),
    Provider(
        id="mistral",
        title="Mistral",
        base_url="https://api.mistral.ai/v1",
        hosts=("api.mistral.ai",),
        trace_name="mistral_ai",
    ),
    Provider(
        id="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        hosts=("openrouter.ai",),
        is_free_charge_billed=True,
    ),
    Provider(id="perplexity", bills_citations=True),
    Provider(
        id="together",
        title="Together",
        base_url="https://api.together.xyz/v1",
        hosts=("api.together.xyz", "api.together.ai"),
    ),
    Provider(
        id="x-ai",
        title="xAI",
        base_url="https://api.x.ai/v1",
        hosts=("api.x.ai", ".api.x.ai"),
        has_reasoning_apart=True,
        trace_name="x_ai",
    ),
    Provider(
        id="ollama",
        title="Ollama",
        base_url="http://127.0.0.1:11434/v1",
        is_self_hosted=True,
    ),
    Provider(id="vllm", title="vLLM", base_url="http://127.0.0.1:8000/v1", is_self_hosted=True),
    Provider(
        id="llama.cpp",
        title="llama.cpp (llama-server)",
        base_url="http://127.0.0.1:8080/v1",
        is_self_hosted=True,
    ),
    Provider(
        id="lm-studio",
        title="LM Studio",
        base_url="http://127.0.0.1:1234/v1",
        is_self_hosted=True,
    ),
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


def find_host_owner(host: str) -> Provider | None:
    """Return the provider whose host this is, None if no row has it."""
    name = host.lower().rstrip(".")
    for provider in PROVIDERS:
        if any(name == own or (own[0] == "." and name.endswith(own)) for own in provider.hosts):
            return provider
    return None
