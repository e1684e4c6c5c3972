"""What the documents point to is there: files, headings, make targets, management commands, modules to run."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("evaluation/**/*.md")])
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def page(path: Path) -> Any:
    return pytest.param(path, id=str(path.relative_to(ROOT)))


def slug(heading: str) -> str:
    """A heading's anchor as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings(path: Path) -> set[str]:
    return {slug(found) for found in re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("path", [page(path) for path in PAGES])
def test_links_lead_somewhere(path: Path) -> None:
    for link in LINK.findall(CODE.sub("", path.read_text())):
        if not link.startswith(("http:", "https:", "mailto:")):
            name, _, anchor = link.partition("#")
            target = (path.parent / name).resolve() if name else path
            assert target.exists(), link
            assert not anchor or anchor in headings(target), link


@pytest.mark.parametrize("path", [page(path) for path in PAGES])
def test_commands_are_there(path: Path) -> None:
    code = "\n".join(CODE.findall(path.read_text()))
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:^|[\s`])make ([a-z-]+)", code)) <= set(targets)
    ours = {found.stem for found in ROOT.glob("*/management/commands/*.py")}
    assert set(re.findall(r"manage\.py ([a-z_]+)", code)) <= ours | {"createsuperuser", "check", "shell", "migrate"}
    for module in re.findall(r"python -m ([\w.]+)", code):
        assert find_spec(module) is not None, module


def test_there_are_pages_to_look_at() -> None:
    assert {"README.md", "ARCHITECTURE.md"} < {path.name for path in PAGES}
    assert len(PAGES) > 10
