"""What people get wrong about a provider's address and key is corrected, or named."""

import pytest

from proxy.core.providers import PROVIDERS, Provider, find_host_owner
from proxy.core.upstream_corrections import (
    build_models_url,
    correct_base_url,
    correct_provider_key,
)
from proxy.core.upstream_urls import check_base_url

AZURE = "https://acme.openai.azure.com"
DEPLOYMENT = f"{AZURE}/openai/deployments/gpt"
CHOICES = [each for each in PROVIDERS if each.title]


def correct(typed: str, provider: str = "openai", *, private: bool = False) -> str:
    return correct_base_url(typed, provider_id=provider, allow_private=private).base_url


@pytest.mark.parametrize("row", CHOICES, ids=lambda each: each.id)
def test_every_choice_fills_its_address_or_shows_how_one_looks(row: Provider) -> None:
    if row.address_example:
        with pytest.raises(ValueError, match="my-resource"):
            correct("", row.id)
        return
    assert correct("", row.id, private=row.is_self_hosted) == row.base_url
    assert check_base_url(row.base_url, allow_private=row.is_self_hosted) == row.base_url
    assert row.is_self_hosted or find_host_owner(row.base_url.split("/")[2]) is row


@pytest.mark.parametrize(
    ("provider", "typed", "stored"),
    [
        ("openai", "https://api.openai.com", "https://api.openai.com/v1"),
        ("openai", " https://api.openai.com/v1/ ", "https://api.openai.com/v1"),
        ("openai", '"https://api.openai.com/v1"', "https://api.openai.com/v1"),
        ("openai", "api.openai.com/v1", "https://api.openai.com/v1"),
        ("openai", "http://api.openai.com/v1", "https://api.openai.com/v1"),
        ("openai", "https://eu.api.openai.com", "https://eu.api.openai.com/v1"),
        ("openai", "https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
        ("openai", "https://api.openai.com/v1/responses/", "https://api.openai.com/v1"),
        ("openai", "https://api.openai.com/v1/v1/models", "https://api.openai.com/v1"),
        ("anthropic", "https://api.anthropic.com/v1/messages", "https://api.anthropic.com/v1"),
        ("openrouter", "https://openrouter.ai/v1", "https://openrouter.ai/api/v1"),
        ("groq", "https://api.groq.com/v1", "https://api.groq.com/openai/v1"),
        ("fireworks", "https://api.fireworks.ai", "https://api.fireworks.ai/inference/v1"),
        (
            "google",
            "https://generativelanguage.googleapis.com/v1beta",
            "https://generativelanguage.googleapis.com/v1beta/openai",
        ),
        ("azure", AZURE, f"{AZURE}/openai/v1"),
        ("azure", f"{AZURE}/openai/v1/chat/completions", f"{AZURE}/openai/v1"),
        (
            "azure",
            "https://acme.services.ai.azure.com/models",
            "https://acme.services.ai.azure.com/models",
        ),
        ("ollama", "localhost:11434", "http://localhost:11434/v1"),
        ("vllm", "http://gpu-1:8000", "http://gpu-1:8000/v1"),
        # Of others nobody knows where the API is.
        ("openai", "https://llm.example.com", "https://llm.example.com"),
        ("acme", "https://llm.example.com/v1/models", "https://llm.example.com/v1"),
        ("acme", "https://llm.example.com/my/models", "https://llm.example.com/my/models"),
        ("acme", "llm.example.com:8443/v1", "https://llm.example.com:8443/v1"),
        ("vllm", "[::1]:8000", "https://[::1]:8000/v1"),
    ],
)
def test_usual_slips_are_corrected(provider: str, typed: str, stored: str) -> None:
    found = correct_base_url(typed, provider_id=provider, allow_private=True)
    assert found.base_url == stored
    # What is stored is right: it is not corrected again.
    again = correct_base_url(found.base_url, provider_id=provider, allow_private=True)
    assert (again.base_url, again.notes) == (stored, ())


@pytest.mark.parametrize(
    ("provider", "typed", "why"),
    [
        ("acme", "", "Is needed"),
        ("ollama", "", "tick “allow private”"),
        ("openai", "http://llm.example.com/v1", "everybody can read the key"),
        ("openai", "https://api.openai.com/v1?key=sk-1", "the key has its own field"),
        ("openai", "https://api.openai.com/v1?" + "a=1&" * 5000, "Must not have a query"),
        ("openai", "https://api.openai.com/v1#x", "fragment"),
        ("openai", "https://me:sk-1@api.openai.com/v1", "user name or password"),
        ("openai", "ftp://api.openai.com/v1", "https://"),
        ("openai", "https://api.openai.com:99999/v1", "valid URL"),
        ("openai", "https://api.openai.com/v 1", "plain ASCII"),
        ("azure", "https://my-resource.openai.azure.com/openai/v1", "name of your resource"),
        ("azure", DEPLOYMENT, "needs .api-version="),
        ("azure", f"{DEPLOYMENT}?api-version=1&key=2", "Must not have a query"),
    ],
)
def test_what_cannot_be_corrected_is_named(provider: str, typed: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        correct(typed, provider)


def test_an_azure_deployment_keeps_its_version_as_a_parameter_of_every_request() -> None:
    pasted = f"{DEPLOYMENT}/chat/completions?api-version=2024-10-21"
    found = correct_base_url(pasted, provider_id="azure", allow_private=False, query={"x": "1"})
    assert found.base_url == DEPLOYMENT
    assert found.query == {"x": "1", "api-version": "2024-10-21"}
    assert f"{AZURE}/openai/v1 serves all of them" in found.notes[-1]
    assert build_models_url(DEPLOYMENT) == f"{AZURE}/openai/models"
    assert build_models_url(f"{AZURE}/openai/v1") == f"{AZURE}/openai/v1/models"


def test_an_address_of_another_provider_is_told() -> None:
    found = correct_base_url(
        "https://api.groq.com/openai/v1", provider_id="openai", allow_private=False
    )
    assert found.notes == (
        "This is an address of Groq, and the prices are those of OpenAI: choose Groq as the "
        "provider.",
    )


@pytest.mark.parametrize(
    "typed",
    [
        "sk-1",
        " sk-1\n",
        '"sk-1"',
        "Bearer sk-1",
        "Authorization: Bearer sk-1",
        "api-key: sk-1",
        "OPENAI_API_KEY=sk-1",
        "OPENAI_API_KEY='sk-1'",
    ],
)
def test_what_is_pasted_with_a_key_is_taken_off(typed: str) -> None:
    assert correct_provider_key(typed) == "sk-1"


@pytest.mark.parametrize(
    ("typed", "why"),
    [("sk-1\nsk-2", "line break"), ("sk 1", "blank"), ("sk-ü", "ASCII"), ("sk-\x001", "ASCII")],
)
def test_a_key_that_no_header_can_carry_is_refused(typed: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        correct_provider_key(typed)


def test_a_key_that_holds_an_equals_sign_stays_whole() -> None:
    assert correct_provider_key("a1B2==") == "a1B2=="
    assert correct_provider_key("A1B2==") == "A1B2=="
    assert correct_provider_key("") == ""
