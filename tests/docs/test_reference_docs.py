"""The reference pages list what the code has: headers, reasons, errors, fields, settings."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.urls import Resolver404, resolve

from plans import fields, price_terms
from plans.api.serializers import CacheSerializer, CompressionSerializer, PlanChangeSerializer
from plans.api.serializers import PlanSerializer as NewPlanSerializer
from plans.api_errors import ApiError
from plans.snapshot import CacheSettings, CompressionSettings
from proxy.core.caching import eligibility
from proxy.core.compression.compress import compress
from proxy.core.errors import BadRequest, GatewayError
from proxy.core.formats.cache_controls import parse_cache_object
from stats.api.serializers import CostSerializer
from stats.dashboard.request_detail import NOT_KEPT_DESCRIPTIONS, REASON_DESCRIPTIONS
from stats.reports import filters
from stats.reports.rows import RowSerializer

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "headers.md").read_text("utf-8")
# Old names on purpose, and the records of past decisions.
HISTORY = {"moved-files.md", "renamed-names.md"}
PAGES = sorted(
    [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]
    + [path for path in DOCS.glob("*.md") if path.name not in HISTORY]
)
# Marks of calls that the gateway makes by itself: no client is told of them.
TOLD_TO_NOBODY = {"judge"}
# Where errors of the management API are defined: they are found as subclasses.
for _module in (
    "proxy.explain.service",
    "proxy.plan_resolution.service",
    "proxy.preview.api",
    "proxy.replay.service",
    "stats.api.views",
):
    import_module(_module)
# What every view of the framework may answer, beside the errors with a class.
FRAMEWORK = ROOT / "plans" / "api" / "error_responses.py"


def section(heading: str, page: str = PAGE) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    level, _, rest = next(
        found for mark in ("### ", "## ") if (found := page.partition(f"\n{mark}{heading}\n"))[1]
    )
    assert level
    return re.split(r"\n##? " if f"\n## {heading}\n" in page else r"\n##+ ", rest)[0]


def first_cells(table: str) -> Iterator[str]:
    """The names in the first column of tables."""
    for row in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE):
        yield from re.findall(r"`([^`]+)`", row)


def listed_errors(heading: str) -> list[tuple[int, str | None]]:
    table = section(heading).split("\n### ")[0]
    rows = re.findall(r"^\| (\d{3}) \| (?:`(\w+)`|none) \|", table, re.MULTILINE)
    return [(int(status), code or None) for status, code in rows]


def subclasses(of: type[Any]) -> Iterator[type[Any]]:
    for each in of.__subclasses__():
        yield each
        yield from subclasses(each)


def errors_of(base: type[Any]) -> set[tuple[int, str | None]]:
    """Status and code of every error of the product that derives from this one."""
    return {
        (each.status, each.code)
        for each in subclasses(base)
        if each.__module__.startswith(("plans.", "proxy.", "stats."))
    }


def test_every_response_header_is_listed_and_no_other() -> None:
    files = (ROOT / "proxy").rglob("*.py")
    sent = {
        name
        for file in files
        for name in re.findall(r"x-tokenthrift-[a-z-]+", file.read_text("utf-8"))
    }
    table = section("On every response")
    listed = set(re.findall(r"^\| `(x-tokenthrift-[a-z-]+)`", table, re.MULTILINE))
    assert listed == sent


@pytest.mark.parametrize(
    ("heading", "reasons"),
    [
        ("Why an answer was not stored", NOT_KEPT_DESCRIPTIONS),
        ("Bypass reasons", REASON_DESCRIPTIONS.keys() - TOLD_TO_NOBODY - {"collapsed"}),
    ],
)
def test_every_reason_is_explained_and_no_other(heading: str, reasons: Iterable[str]) -> None:
    assert set(first_cells(section(heading).split("\n### ")[0])) == set(reasons)


def test_every_reason_for_the_exact_tier_only_is_explained() -> None:
    source = Path(str(eligibility.__file__)).read_text("utf-8")
    rules = source.split("def semantic_ineligibility")[1].split("\ndef _uses_tools")[0]
    known = set(
        re.findall(r'\("([a-z-]+)",|return "([a-z-]+)"|^ +"([a-z-]+)",$', rules, re.MULTILINE)
    )
    reasons = {name for found in known for name in found if name}
    listed = set(first_cells(section("Requests for the exact tier only").split("\n### ")[0]))
    assert listed == reasons | {eligibility.VOCABULARY_REASON, "unusual-body"}


def test_every_cache_field_of_a_request_is_listed() -> None:
    with pytest.raises(BadRequest) as refused:
        parse_cache_object({"unknown": 1})
    accepted = str(refused.value).split("Accepted: ")[1].rstrip(".").split(", ")
    table = section("Request fields")
    listed = re.findall(r'^\| `\{"([\w-]+)":', table, re.MULTILINE)
    assert sorted(listed) == sorted(accepted)
    for example in re.findall(r'^\| `(\{"[^`]+\})` \|', table, re.MULTILINE):
        parse_cache_object(json.loads(example))


def test_every_error_of_the_gateway_is_listed_and_no_other() -> None:
    listed = listed_errors("Errors")
    assert len(listed) == len(set(listed))
    assert set(listed) == errors_of(GatewayError) - {(429, None)}


def test_every_error_of_the_management_api_is_listed_and_no_other() -> None:
    text = FRAMEWORK.read_text("utf-8")
    known = {(int(status), code) for status, code in re.findall(r'(\d{3}): "(\w+)"', text)}
    known |= {(503, "database_unavailable"), (500, "internal_error")}
    assert all(f'"{code}"' in text for _, code in known)
    listed = listed_errors("Errors of the management API")
    assert len(listed) == len(set(listed))
    assert set(listed) == known | errors_of(ApiError)


def test_every_parameter_of_the_stats_api_is_listed() -> None:
    page = (DOCS / "stats.md").read_text("utf-8")
    table = section("Parameters", page)
    assert set(first_cells(table)) == {*filters.PARAMETER_NAMES, "format"}
    for words in (filters.GRANULARITIES, filters.GROUP_NAMES):
        assert all(f"`{word}`" in table for word in words)


def test_every_column_of_a_report_is_listed_in_order() -> None:
    page = (DOCS / "stats.md").read_text("utf-8")
    table = page.split("## Rows:")[1].split("\n## ")[0]
    assert set(first_cells(table)) == set(RowSerializer().fields)


def test_the_dollars_that_are_explained_are_fields() -> None:
    page = (DOCS / "stats.md").read_text("utf-8")
    cost = CostSerializer().fields
    explained = set(re.findall(r"`(\w+)`", section("How the dollars add up", page)))
    assert set(cost) <= explained


def test_every_field_of_stats_says_what_it_is() -> None:
    table = (DOCS / "stats.md").read_text("utf-8").split("<!-- fields: begin")[1]
    rows = re.findall(r"^\| `(.+?)` \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    assert len(rows) > 80
    assert [name for name, _, text in rows if not text] == []


def plan_settings() -> set[str]:
    """The dotted names of everything that a plan's body may say."""
    whole = set(NewPlanSerializer().fields) | set(PlanChangeSerializer().fields)
    return (
        whole
        | {f"compression.{name}" for name in CompressionSerializer().fields}
        | {f"cache.{name}" for name in CacheSerializer().fields}
    )


def test_every_setting_of_a_plan_is_explained() -> None:
    page = (DOCS / "plan-settings.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\S+)` \| (.+) \| (.+) \| (.+) \| (.+) \|$", page, re.MULTILINE)
    assert {name for name, *_ in rows} == set(fields.RISKS)
    assert [name for name, *cells in rows if "" in [cell.strip() for cell in cells]] == []
    assert set(fields.RISKS) <= plan_settings()


def test_the_plan_that_is_shown_has_every_setting_and_its_default() -> None:
    page = (DOCS / "plan-settings.md").read_text("utf-8")
    shown = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    assert shown["cache"] == asdict(CacheSettings(ttl=86_400))
    assert list(shown) == [
        name
        for name, field in NewPlanSerializer().fields.items()
        if not field.write_only and name != "notes"
    ]


def test_the_example_of_compression_is_what_compression_does() -> None:
    page = (DOCS / "compression.md").read_text("utf-8")
    given, sent = (
        json.loads(found)
        for found in re.findall(r"<!-- compression-.*?```json\n(.*?)```", page, re.DOTALL)
    )
    settings = CompressionSettings(engine="text_rank", max_input_tokens=130)
    found = compress(given, settings, model="gpt-4o-mini")
    assert found.messages == sent
    assert f"This chat has {found.before} tokens." in page
    assert f"{found.after} tokens are sent." in page
    assert f"`x-tokenthrift-compression: {found.after / found.before:.3f}`" in page


def code_of(path: Path) -> str:
    """Blocks and spans of code of a page, one a line."""
    text = path.read_text("utf-8")
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return "\n".join([*blocks, *spans])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.name))
def test_settings_that_are_named_exist(path: Path) -> None:
    named = set(re.findall(r"(?<![\w.])((?:cache|compression)\.[a-z_]+)\b", code_of(path)))
    of_requests = {"cache.namespace", "cache.tags"}
    files = {"cache.json", "cache.py", "compression.md", "compression.py"}
    assert named - plan_settings() - of_requests - files == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.name))
def test_metrics_that_are_named_exist(path: Path) -> None:
    table = (DOCS / "operate.md").read_text("utf-8")
    known = set(re.findall(r"^\| `((?:tokenthrift|litellm)_\w+)", table, re.MULTILINE))
    named = set(re.findall(r"\b((?:tokenthrift|litellm)_[a-z_]+[a-z])\b", code_of(path)))
    if path.name == "migrate.md":  # LiteLLM's settings are named there
        named = {name for name in named if not name.startswith("litellm_")}
    assert named - known == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.name))
def test_checks_that_are_named_exist(path: Path) -> None:
    source = "\n".join(
        file.read_text("utf-8") for file in (ROOT / "gateway_project" / "checks").rglob("*.py")
    )
    named = set(re.findall(r"\btokenthrift\.([EW]\d{3})\b", path.read_text("utf-8")))
    assert {name for name in named if f'"tokenthrift.{name}"' not in source} == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.name))
def test_paths_of_the_apis_that_are_named_are_served(path: Path) -> None:
    served = {"/v1", "/v1/chat/completions", "/v1/models", "/v1/cache/feedback", "/token-saving"}
    named = set(
        re.findall(
            r"(?<![\w/}.])((?:/token-saving|/v1|/dashboard|/admin|/api|/livez|/readyz|/healthz|/metrics)"
            r"[\w/{}.-]*)",
            re.sub(r"https?://[^/\s`\"]+|\$GATEWAY", "", code_of(path)),
        )
    )
    missing = set()
    for name in named:
        plain = re.sub(r"\{\w+\}", "name", name).rstrip("/.")
        if plain in served:
            continue
        try:
            if resolve(plain).view_name == "" or "UnknownPath" in str(resolve(plain).func):
                missing.add(name)
        except Resolver404:
            try:
                resolve(f"{plain}/")
            except Resolver404:
                missing.add(name)
    assert missing - {"/v1/traces"} == set()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.name))
def test_options_of_commands_that_are_named_exist(path: Path) -> None:
    apps = get_commands()
    for command, rest in re.findall(r"manage\.py ([a-z_]+)([^\n#]*)", code_of(path)):
        if command not in apps:
            continue
        loaded = apps[command]
        made = load_command_class(loaded, command) if isinstance(loaded, str) else loaded
        known = made.create_parser("manage.py", command)._option_string_actions
        assert set(re.findall(r"--[a-z-]+", rest)) <= set(known), command


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.name))
def test_a_page_is_of_the_product_alone(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"(?<![\w.])/(?:work|tmp|home|root)/\S*", text) == []
    assert str(settings.BASE_DIR) not in text


def paragraphs(text: str) -> list[str]:
    """Running text: no code, tables, pictures or headings; each item of a list by itself."""
    plain = re.sub(r"```.*?```|<picture>.*?</picture>", "", text, flags=re.DOTALL)
    items = re.sub(r"^(?:- |\d+\. )", "\n\n", plain, flags=re.MULTILINE)
    return [
        part for part in re.split(r"\n\s*\n", items) if not part.lstrip().startswith(("|", "#"))
    ]


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert max(len(part.split()) for part in paragraphs(text)) <= 60
    assert sum(len(part.split()) for part in paragraphs(text)) <= 600


def test_the_architecture_is_one_page() -> None:
    assert 6 * 1024 <= (ROOT / "ARCHITECTURE.md").stat().st_size <= 10 * 1024


def test_every_rate_of_a_price_is_listed() -> None:
    page = (DOCS / "prices.md").read_text("utf-8")
    table = page.split("| Rates | Unit |")[1].split("\n\n")[0]
    assert set(first_cells(table)) == set(price_terms.RATE_NAMES)
