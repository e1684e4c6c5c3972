"""The table of providers: its ids, the names it has read, and no fact of it elsewhere."""

import re
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from genai_prices import data_snapshot

from proxy.core import providers
from proxy.core.config import ProviderEndpoint
from proxy.core.formats.usage import parse_any_usage
from proxy.core.prompt_caching.breakpoints import reads_breakpoints
from proxy.core.prompt_caching.conversations import LastPrompt
from proxy.core.prompt_caching.terms import prefix_is_warm
from proxy.core.providers import PROVIDERS, Provider, get_provider

ROOT = Path(__file__).resolve().parents[2]
IDS = [each.id for each in PROVIDERS]
# OpenAI is the default of an upstream, and a library's name in a snippet. What the price list says
# of OpenRouter has a flaw of its own, and plans know nothing of the gateway.
NAMED_ELSEWHERE = {
    "plans/client_snippets.py": {"openai"},
    "plans/published_prices.py": {"openrouter"},
    "proxy/config_api/openapi.py": {"openai"},
    "proxy/config_import/litellm_deployments.py": {"anthropic", "openai"},
    "proxy/config_import/portkey_targets.py": {"azure"},
    "proxy/core/config.py": {"openai"},
    "proxy/models.py": {"openai"},
    "proxy/upstreams/selectors.py": {"openai"},
    "proxy/upstreams/services.py": {"openai"},
}
# Of providers: ours, and the names that other gateways have for them.
TABLES = {"providers.py", "foreign_providers.py"}


def test_ids_are_those_of_the_price_list() -> None:
    listed = {each.id for each in data_snapshot.get_snapshot().providers}
    assert {each.id for each in PROVIDERS if not each.is_self_hosted} <= listed
    assert len(set(IDS)) == len(IDS)


def test_no_provider_is_named_in_other_code() -> None:
    quoted = re.compile(rf"\"({'|'.join(map(re.escape, IDS))})\"")
    named: dict[str, set[str]] = {}
    for package in ("gateway_project", "accounts", "plans", "proxy", "stats"):
        for path in (ROOT / package).rglob("*.py"):
            found = set(quoted.findall(path.read_text("utf-8")))
            if found and "migrations" not in path.parts and path.name not in TABLES:
                named[str(path.relative_to(ROOT))] = found
    assert named == NAMED_ELSEWHERE


@pytest.mark.parametrize("row", PROVIDERS, ids=IDS)
def test_every_name_of_a_usage_report_is_read(row: Provider) -> None:
    prompt, completion = row.prompt_names or ("prompt_tokens",), row.completion_names
    for own in prompt:
        for said in completion or ("completion_tokens",):
            usage = parse_any_usage({own: 70, said: 30})
            assert usage is not None
            assert (usage.prompt_tokens, usage.completion_tokens) == (70, 30)
    for total in row.total_names:
        usage = parse_any_usage({prompt[0]: 70, total: 100})
        assert usage is not None
        assert usage.completion_tokens == 30
    body: dict[str, Any] = {"prompt_tokens": 70, "completion_tokens": 30, "total_tokens": 100}
    for names, attribute in (
        (row.cache_read_names, "cached_tokens"),
        (row.cache_write_names, "cache_write_tokens"),
        (row.reasoning_names, "details.reasoning"),
    ):
        for name in names:
            assert attrgetter(attribute)(parse_any_usage(body | {name: 20})) == 20, name


@pytest.mark.parametrize("row", PROVIDERS, ids=IDS)
def test_what_a_row_says_is_what_happens(row: Provider) -> None:
    reasoning = parse_any_usage(
        {"prompt_tokens": 1, "completion_tokens": 30, "reasoning_tokens": 20}, row.id
    )
    cited = parse_any_usage(
        {"prompt_tokens": 1, "completion_tokens": 3, "citation_tokens": 2}, row.id
    )
    free = parse_any_usage({"prompt_tokens": 1, "completion_tokens": 3, "cost": 0}, row.id)
    assert reasoning is not None
    assert cited is not None
    assert free is not None
    assert reasoning.completion_tokens == (50 if row.has_reasoning_apart else 30)
    assert cited.completion_tokens == (5 if row.bills_citations else 3)
    assert (free.charged_usd == 0) == row.is_free_charge_billed
    sent = LastPrompt(form="whole", sent_at=0.0, prompt_tokens=100)
    assert prefix_is_warm(sent, row.id, row.prefix_lifetime_seconds)
    assert not prefix_is_warm(sent, row.id, row.prefix_lifetime_seconds + 1)
    for host, is_marked in (
        ("example.com", True),
        *((each, False) for each in row.hosts_without_cache),
    ):
        upstream = ProviderEndpoint(id=1, name="x", base_url=f"https://{host}/v1", provider=row.id)
        assert reads_breakpoints(upstream) == (row.reads_breakpoints and is_marked)


def test_a_provider_without_a_row_is_like_most() -> None:
    assert get_provider("somebody") == Provider(id="")
    assert get_provider("anthropic").prefix_lifetime_seconds < providers.PREFIX_LIFETIME_SECONDS
