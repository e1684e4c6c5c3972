"""Providers as other gateways name them: where each is reached by OpenAI's protocol.

Names of providers and keys are those of LiteLLM 1.105 and Portkey's gateway 1.15; addresses that
stand here are from the providers' own pages.
"""

from dataclasses import dataclass
from typing import Final, Literal

from proxy.config_import.report import MANUAL, UNSUPPORTED
from proxy.config_import.rules import Ruling
from proxy.core.providers import get_provider

ForeignGateway = Literal["litellm", "portkey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignProvider:
    """A provider that answers OpenAI's chat completions.

    `price_id`: of its price list here; `litellm`, `portkey`: its names there, "" where it has none;
    `address`: where it is, if not where `proxy.core.providers` says; `suffix`: what an address in
    the file lacks;
    `key_variable`: which LiteLLM reads where the file names no key; `caveat`: what is left to
    check, "" if it is called as before.
    """

    price_id: str
    litellm: tuple[str, ...] = ()
    portkey: tuple[str, ...] = ()
    address: str = ""
    suffix: str = ""
    key_variable: str = ""
    caveat: str = ""

    @property
    def base_url(self) -> str:
        """Where it is; "" if the file must say."""
        known = get_provider(self.price_id)
        # Where a server of one's own runs by default is no address that a file left out.
        return self.address or ("" if known.is_self_hosted else known.base_url)


_OWN_PROTOCOL: Final = (
    "It was called by the provider's own protocol; here it is called by the provider's OpenAI "
    "protocol ({}): compare some answers."
)
PROVIDERS: Final = (
    ForeignProvider(
        price_id="openai",
        litellm=("openai", "custom_openai", "openai_like"),
        portkey=("openai",),
        key_variable="OPENAI_API_KEY",
    ),
    ForeignProvider(
        price_id="azure",
        litellm=("azure",),
        portkey=("azure-openai",),
        suffix="/openai/v1",
        key_variable="AZURE_API_KEY",
        caveat=(
            "It was called by a dated Azure API; here by Azure's v1 API, where the model is the "
            "deployment's name: check that the resource has it."
        ),
    ),
    ForeignProvider(
        price_id="anthropic",
        litellm=("anthropic",),
        portkey=("anthropic",),
        key_variable="ANTHROPIC_API_KEY",
        caveat=(
            "It was called by Anthropic's own protocol; here by its OpenAI protocol, which "
            "Anthropic offers for testing: no prompt caching, and strict schemas are ignored."
        ),
    ),
    ForeignProvider(
        price_id="google",
        litellm=("gemini",),
        portkey=("google",),
        key_variable="GEMINI_API_KEY",
        caveat=_OWN_PROTOCOL.format("ai.google.dev/gemini-api/docs/openai"),
    ),
    ForeignProvider(
        price_id="ollama",
        litellm=("ollama", "ollama_chat"),
        portkey=("ollama",),
        suffix="/v1",
        caveat=_OWN_PROTOCOL.format("/v1 of Ollama"),
    ),
    ForeignProvider(
        price_id="mistral",
        litellm=("mistral",),
        portkey=("mistral-ai",),
        key_variable="MISTRAL_API_KEY",
    ),
    ForeignProvider(
        price_id="groq",
        litellm=("groq",),
        portkey=("groq",),
        key_variable="GROQ_API_KEY",
    ),
    ForeignProvider(
        price_id="together",
        litellm=("together_ai",),
        portkey=("together-ai",),
        address="https://api.together.ai/v1",  # as both gateways have it
        key_variable="TOGETHER_API_KEY",
    ),
    ForeignProvider(
        price_id="fireworks",
        litellm=("fireworks_ai",),
        portkey=("fireworks-ai",),
        key_variable="FIREWORKS_API_KEY",
    ),
    ForeignProvider(
        price_id="deepseek",
        litellm=("deepseek",),
        portkey=("deepseek",),
        key_variable="DEEPSEEK_API_KEY",
    ),
    ForeignProvider(
        price_id="x-ai",
        litellm=("xai",),
        portkey=("x-ai",),
        key_variable="XAI_API_KEY",
    ),
    ForeignProvider(
        price_id="openrouter",
        litellm=("openrouter",),
        portkey=("openrouter",),
        key_variable="OPENROUTER_API_KEY",
    ),
    ForeignProvider(
        price_id="perplexity",
        litellm=("perplexity",),
        portkey=("perplexity-ai",),
        address="https://api.perplexity.ai",
        key_variable="PERPLEXITYAI_API_KEY",
    ),
    ForeignProvider(
        price_id="deepinfra",
        litellm=("deepinfra",),
        portkey=("deepinfra",),
        address="https://api.deepinfra.com/v1/openai",
        key_variable="DEEPINFRA_API_KEY",
    ),
    ForeignProvider(
        price_id="cerebras",
        litellm=("cerebras",),
        portkey=("cerebras",),
        address="https://api.cerebras.ai/v1",
        key_variable="CEREBRAS_API_KEY",
    ),
    ForeignProvider(
        price_id="nvidia",
        litellm=("nvidia_nim",),
        address="https://integrate.api.nvidia.com/v1",
        key_variable="NVIDIA_NIM_API_KEY",
    ),
    ForeignProvider(
        price_id="sambanova",
        litellm=("sambanova",),
        portkey=("sambanova",),
        address="https://api.sambanova.ai/v1",
        key_variable="SAMBANOVA_API_KEY",
    ),
    ForeignProvider(price_id="vllm", litellm=("hosted_vllm",)),
    ForeignProvider(price_id="lm-studio", litellm=("lm_studio",)),
    ForeignProvider(price_id="llamafile", litellm=("llamafile",)),
    ForeignProvider(price_id="xinference", litellm=("xinference",)),
    ForeignProvider(price_id="litellm", litellm=("litellm_proxy",)),
)
_CLOUD_SIGNATURE: Final = (
    "Its requests are signed with cloud credentials, which an upstream has none of: put a "
    "gateway of that cloud with OpenAI's protocol in between."
)
_NO_OPENAI_PROTOCOL: Final = "It is not called by OpenAI's chat completions here."
UNSUPPORTED_PROVIDERS: Final = {
    **dict.fromkeys(
        (
            "bedrock",
            "bedrock_converse",
            "sagemaker",
            "sagemaker_chat",
            "vertex_ai",
            "vertex_ai_beta",
            "vertex-ai",
            "watsonx",
            "oci",
            "workers-ai",
        ),
        _CLOUD_SIGNATURE,
    ),
    **dict.fromkeys(
        (
            "cohere",
            "cohere_chat",
            "replicate",
            "huggingface",
            "text-completion-openai",
            "azure_text",
            "palm",
            "nlp_cloud",
            "stability-ai",
            "voyage",
            "jina",
            "triton",
        ),
        _NO_OPENAI_PROTOCOL,
    ),
}
_BY_NAME: Final[dict[ForeignGateway, dict[str, ForeignProvider]]] = {
    "litellm": {name: each for each in PROVIDERS for name in each.litellm},
    "portkey": {name: each for each in PROVIDERS for name in each.portkey},
}


def find_provider(gateway: ForeignGateway, name: str) -> ForeignProvider | Ruling:
    """Return the provider that a gateway calls so, or why it is not imported."""
    found = _BY_NAME[gateway].get(name)
    if found:
        return found
    if name in UNSUPPORTED_PROVIDERS:
        return Ruling(UNSUPPORTED, UNSUPPORTED_PROVIDERS[name])
    return Ruling(
        MANUAL, "Its provider is not known to this importer: add upstream and route by hand."
    )
