"""Write the generated parts of the documentation:
`make docs`, or `python -m tests.support.generated_docs`.

A generated part stands between `<!-- name: begin ... -->` and `<!-- name: end -->`. A test compares
each with what this module would write.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import wrap
from typing import Final

import django

from proxy.core.providers import PROVIDERS
from proxy.pipeline import chain, sampling

KEY_HEADERS: Final = {"bearer": "`Authorization: Bearer`", "api-key": "`api-key`"}
ROOT: Final = Path(__file__).resolve().parents[2]
COLUMNS: Final = 96
# Without them the settings do not load.
NEEDED_SETTINGS: Final = {
    "DATABASE_URL": "postgres://nowhere/none",
    "REDIS_URL": "redis://nowhere",
    "TOKENTHRIFT_SECRET_KEY": "none",
    "TOKENTHRIFT_KEY_PEPPER": "none",
    "TOKENTHRIFT_ENCRYPTION_KEYS": "none",
}
# A group of stages and its comment, which stands above the group or behind its first line.
GROUP: Final = re.compile(
    r"^(?P<above>(?:# .+\n)*)(?P<name>[A-Z]+): tuple\[Stage, \.\.\.\] = \(.*?(?:  # (?P<beside>.+))?$",  # noqa: E501 -- a regular expression stays whole
    re.MULTILINE,
)


def draw_chain() -> str:
    """The groups of stages of a request and of its samples, in their order,
    each with its comment."""
    groups = [
        (module, group)
        for module in (chain, sampling)
        for group in GROUP.finditer(Path(str(module.__file__)).read_text("utf-8"))
    ]
    indent = max(len(group["name"]) for _, group in groups) + 2
    lines = ["```text"]
    for module, group in groups:
        stages = " → ".join(stage.__name__ for stage in getattr(module, group["name"]))
        note = " ".join(
            filter(None, (" ".join(re.findall(r"# (.+)", group["above"])), group["beside"]))
        )
        lines += _hang(group["name"], stages, indent)
        lines += _hang("", f"({note.replace('`', '').rstrip('.')})", indent) if note else []
    return "\n".join([*lines, "```"])


def _hang(head: str, text: str, indent: int) -> Iterator[str]:
    for place, line in enumerate(wrap(text, COLUMNS - indent, break_long_words=False)):
        yield f"{head if place == 0 else '':<{indent}}{line}"


def rewrite(page: str, name: str, part: str) -> str:
    """`page` with `part` between the markers called `name`. Raises ValueError without markers."""
    marked = re.compile(rf"(<!-- {name}: begin[^\n]*-->\n).*?(<!-- {name}: end -->)", re.DOTALL)
    written, places = marked.subn(lambda found: f"{found[1]}{part}\n{found[2]}", page)
    if places != 1:
        raise ValueError(f"{places} places are marked as {name!r}")
    return written


def draw_plan_settings() -> str:
    """The settings of a plan, read off the serializers."""
    from tests.support import reference_tables

    return reference_tables.draw_plan_settings()


def draw_stats_fields() -> str:
    """The fields of the stats API, read off its serializers."""
    from tests.support import reference_tables

    return reference_tables.draw_stats_fields()


def draw_ledger_columns() -> str:
    """The columns of a request in the ledger, each with its type and meaning."""
    from tests.support import reference_tables

    return reference_tables.draw_ledger_columns()


def draw_operating_points() -> str:
    """What was measured at each threshold that has a name, set by set."""
    from tests.support import reference_tables

    return reference_tables.draw_operating_points()


def draw_providers() -> str:
    """The providers that a form offers, with their addresses and the header of their key."""
    rows = ["| Provider | `provider` | Address | Key in |", "| --- | --- | --- | --- |"]
    for each in PROVIDERS:
        if each.title:
            header = "" if each.is_self_hosted else KEY_HEADERS[each.key_header]
            address = each.base_url or f"your own, as {each.address_example}"
            rows.append(f"| {each.title} | `{each.id}` | {address} | {header or '–'} |")
    return "\n".join(rows)


PARTS: Final[tuple[tuple[str, str, Callable[[], str]], ...]] = (
    ("ARCHITECTURE.md", "chain", draw_chain),
    ("docs/plan-settings.md", "settings", draw_plan_settings),
    ("docs/stats.md", "fields", draw_stats_fields),
    ("docs/ledger.md", "columns", draw_ledger_columns),
    ("docs/verifier.md", "strictness", draw_operating_points),
    ("docs/upstreams.md", "providers", draw_providers),
)


def start_django() -> None:
    """Load the models that the serializers name. No database is asked, so any address does."""
    for name, value in NEEDED_SETTINGS.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
    django.setup()


def main() -> None:
    """Rewrite every generated part where it stands."""
    start_django()
    for file, name, write in PARTS:
        path = ROOT / file
        path.write_text(rewrite(path.read_text("utf-8"), name, write()), "utf-8")


if __name__ == "__main__":
    main()
