"""The defaults that `.env.example` and the documents name are those that the settings have."""

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Import the settings in an environment that sets nothing, and note what each reader falls back on.
PROGRAM = """
import json, os
from gateway_project.embedded import configuration; from gateway_project import environment

read, defaults = environment.read_text, {}

def text(name, default=""):
    defaults[name] = default
    return read(name, default)

environment.read_text = text
environment.load_env_file()
import gateway_project.settings
print(json.dumps(defaults))
"""
# Those need a value to be imported at all; they have no default.
GIVEN = {
    "DATABASE_URL": "postgres://host/name",
    "REDIS_URL": "redis://host",
    "TOKENTHRIFT_SECRET_KEY": "x",
    "TOKENTHRIFT_KEY_PEPPER": "x",
    "TOKENTHRIFT_ENCRYPTION_KEYS": "x",
    "TOKENTHRIFT_ENV_FILE": os.devnull,
}
# Shown as an example, because the code has no default or derives it from another variable.
EXAMPLES = {
    "DATABASE_URL",
    "QDRANT_URL",
    "REDIS_SEMANTIC_URL",
    "REDIS_URL",
    "TOKENTHRIFT_ADMIN_KEY",
    "TOKENTHRIFT_BREAK_GLASS",
    "TOKENTHRIFT_CONFIG",
    "TOKENTHRIFT_CORS_ORIGINS",
    "TOKENTHRIFT_ENCRYPTION_KEYS",
    "TOKENTHRIFT_INSTANCE",
    "TOKENTHRIFT_KEY_PEPPER",
    "TOKENTHRIFT_MAIL_FROM",
    "TOKENTHRIFT_METRICS_TOKEN",
    "TOKENTHRIFT_OIDC_BUTTON",
    "TOKENTHRIFT_OIDC_CLIENT_ID",
    "TOKENTHRIFT_OIDC_CLIENT_SECRET",
    "TOKENTHRIFT_OIDC_EMAIL_DOMAINS",
    "TOKENTHRIFT_OIDC_ISSUER",
    "TOKENTHRIFT_OIDC_ROLES",
    "TOKENTHRIFT_OTLP_ENDPOINT",
    "TOKENTHRIFT_PATH_PREFIX",
    "TOKENTHRIFT_QDRANT_API_KEY",
    "TOKENTHRIFT_SECRET_KEY",
    "TOKENTHRIFT_SMTP_URL",
    "TOKENTHRIFT_TRUSTED_ORIGINS",
}
NAME = r"(?:TOKENTHRIFT_[A-Z_]+|[A-Z_]+_URL)"
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?: (?:KB|MB))?")
UNITS = {"KB": 1024, "MB": 1024**2}
PAGES = sorted([ROOT / "README.md", ROOT / "SECURITY.md", *ROOT.glob("docs/*.md")])


@cache
def real_defaults() -> dict[str, str]:
    """What the settings take where nothing is set; paths from the project's folder on."""
    bare = {name: value for name, value in os.environ.items() if not is_ours(name)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=bare | GIVEN,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return {name: value.removeprefix(f"{ROOT}/") for name, value in found.items()}


def is_ours(name: str) -> bool:
    return name.startswith(("TOKENTHRIFT_", "OTEL_")) or name.removesuffix("_FILE").endswith("_URL")


def shown_values() -> dict[str, str]:
    """What `.env.example` shows for each variable."""
    text = (ROOT / ".env.example").read_text()
    return dict(re.findall(rf"^#?({NAME})=(\S+)", text, re.MULTILINE))


def same_value(first: str, second: str) -> bool:
    """Whether both are the same number, or the same text in any case."""
    try:
        return float(first) == float(second)
    except ValueError:
        return first.lower() == second.lower()


def tabled_defaults(page: str) -> dict[str, str]:
    """Rows of the form `NAME`, `NAME` | 64 KB, 200 | ...: one number each, in their order."""
    found: dict[str, str] = {}
    for line in page.splitlines():
        names, _, rest = line.removeprefix("| ").partition(" | ")
        named = re.findall(rf"`({NAME})`", names)
        numbers = NUMBER.findall(rest.partition(" | ")[0])
        if line.startswith("| `") and "default " not in rest and 0 < len(named) <= len(numbers):
            found |= dict(zip(named, numbers, strict=False))
    return found


def defaults_of_compose(page: str) -> dict[str, str]:
    """Rows of the form `NAME` | what it is for, default 8000 |:
    what `compose.yaml` falls back on."""
    return dict(re.findall(rf"^\| `({NAME})` \|.*?\bdefault `?(\w+)", page, re.MULTILINE))


def defaults_in_prose(page: str) -> dict[str, str]:
    """Those of the form `NAME` (60 ...), as prose says a default."""
    return dict(re.findall(rf"`({NAME})` \((\d[\d,]*(?:\.\d+)?)\b", page))


def as_number(text: str) -> str:
    number, _, unit = text.replace(",", "").partition(" ")
    return str(float(number) * UNITS.get(unit, 1))


def test_the_example_shows_the_defaults_that_the_settings_have() -> None:
    shown = {name: value for name, value in shown_values().items() if name not in EXAMPLES}
    real = {name: real_defaults()[name] for name in shown}
    assert {name: value for name, value in shown.items() if not same_value(value, real[name])} == {}
    assert len(shown) > 40


def test_what_is_shown_as_an_example_has_no_default() -> None:
    derived = {"REDIS_SEMANTIC_URL"}  # REDIS_URL
    assert {name for name in EXAMPLES if real_defaults().get(name)} == derived
    assert set(shown_values()) >= EXAMPLES


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.name))
def test_documents_name_variables_that_exist(path: Path) -> None:
    named = set(re.findall(r"\bTOKENTHRIFT_[A-Z_]*[A-Z]\b", path.read_text()))
    assert {name.removesuffix("_FILE") for name in named} - set(shown_values()) - {
        "TOKENTHRIFT_KEEP"
    } == set()


def test_documents_name_the_defaults_that_the_settings_have() -> None:
    said = [
        (path.name, name, as_number(value))
        for path in PAGES
        for found in (tabled_defaults(path.read_text()), defaults_in_prose(path.read_text()))
        for name, value in found.items()
    ]
    real = real_defaults()
    assert [each for each in said if not same_value(each[2], real[each[1]])] == []
    assert len(said) >= 14


def test_documents_name_the_defaults_that_compose_has() -> None:
    said = defaults_of_compose((ROOT / "docs" / "deploy.md").read_text())
    real = dict(re.findall(rf"\$\{{({NAME}):-([^}}]*)\}}", (ROOT / "compose.yaml").read_text()))
    assert said == {name: real[name] for name in said}
    assert len(said) == 4


def test_a_table_is_read_by_the_order_of_its_names() -> None:
    row = "| `TOKENTHRIFT_A`, `TOKENTHRIFT_B` | 64 KB, 1,200 headers | 431 |"
    assert tabled_defaults(row) == {"TOKENTHRIFT_A": "64 KB", "TOKENTHRIFT_B": "1,200"}
    assert as_number("64 KB") == "65536.0"
    assert defaults_in_prose("`TOKENTHRIFT_A` (60) a minute") == {"TOKENTHRIFT_A": "60"}
