"""What the documents point to is there: files, headings, make targets, management commands,
modules to run."""

import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.generated_docs import PARTS, rewrite

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted(
    path for folder in ("", "docs/**/", "benchmarks/") for path in ROOT.glob(f"{folder}*.md")
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
DECISION_LINES = 15
FOLDERS = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")
NAMED = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./{{}},-]*)`")
# What running the gateway, or following a guide, makes.
MADE_LATER = re.compile(r"var/|deploy/secrets|.+/rare_words\.py")
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
    assert set(re.findall(r"manage\.py ([a-z_]+)", code)) <= ours | {
        "createsuperuser",
        "check",
        "shell",
        "migrate",
        "makemigrations",
        "help",
    }
    for module in re.findall(r"python -m ([\w.]+)", code):
        assert find_spec(module) is not None, module


def alternatives(name: str) -> Iterator[str]:
    """`a/{b,c}/` is `a/b/` and `a/c/`."""
    head, brace, rest = name.partition("{")
    choices, _, tail = rest.partition("}")
    for choice in choices.split(",") if brace else ():
        yield from alternatives(f"{head}{choice.strip()}{tail}")
    if not brace:
        yield name


@pytest.mark.parametrize("path", [page(path) for path in PAGES])
def test_a_path_that_is_named_exists(path: Path) -> None:
    named = {
        name for found in NAMED.findall(path.read_text("utf-8")) for name in alternatives(found)
    }
    assert {
        name for name in named if not (ROOT / name).exists() and not MADE_LATER.match(name)
    } == set()


def test_the_ten_questions_of_new_readers_have_answers() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = re.findall(r"^\| ([A-Z][^|]+\?) \| (.+) \|$", text, re.MULTILINE)
    assert len(rows) == 10
    assert all(NAMED.search(answer) for _, answer in rows)


def test_there_are_pages_to_look_at() -> None:
    assert {"README.md", "ARCHITECTURE.md"} < {path.name for path in PAGES}
    assert len(PAGES) > 10


@pytest.mark.parametrize(("file", "name", "write"), PARTS, ids=[name for _, name, _ in PARTS])
def test_a_generated_part_says_what_the_code_says(
    file: str, name: str, write: Callable[[], str]
) -> None:
    page = (ROOT / file).read_text("utf-8")
    assert page == rewrite(page, name, write()), "run `make docs`"


@pytest.mark.parametrize("path", [page(path) for path in DECISIONS])
def test_a_decision_is_short_and_whole(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= DECISION_LINES
    assert lines[0].startswith(f"# {int(path.name[:4])}. ")
    assert re.match(r"Status: (accepted|superseded)", lines[2])
    parts = [line.split("*")[1] for line in lines if line.startswith("- *")]
    assert parts == ["Context.", "Decision.", "Consequences."]


def test_the_index_lists_every_decision_in_order() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d+) \| \[(.+)\]\((\S+)\) \| (.+) \|$", index, re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, len(DECISIONS) + 1))
    for path, (number, title, file, status) in zip(DECISIONS, rows, strict=True):
        head = path.read_text("utf-8").splitlines()
        assert (path.name, head[0], head[2]) == (file, f"# {number}. {title}", f"Status: {status}.")


@pytest.mark.parametrize(
    ("said", "file", "measured"),
    [
        (
            "7,820 exact hits a second",
            "benchmarks/RESULTS.md",
            "| exact hit, 16 connections | 7,820 /s |",
        ),
        (
            "46 times what LiteLLM does",
            "benchmarks/RESULTS.md",
            "| exact hit, times LiteLLM's | 46.3 x |",
        ),
        (
            "4,096 in 58 ms",
            "benchmarks/RESULTS.md",
            "| compress 60,000 tokens to 4,096, p50 | 57.9 ms |",
        ),
        ("0.3 % of such hits are wrong", "docs/verifier.md", "**.003 / .850**"),
        ("has 45 %", "docs/verifier.md", "| questions, wrong / recall | 1,823 | .446 /"),
        (
            "Of 1,946 requests made to be taken for others none",
            "docs/verifier.md",
            "served, of 1,946 | 714 | 0 |",
        ),
        ("68,179 settled calls", "docs/ledger.md", "settled calls agree: here 68,179 calls"),
        ("29 workers were killed", "docs/ledger.md", "29 workers killed"),
    ],
)
def test_a_figure_of_the_readme_was_measured(said: str, file: str, measured: str) -> None:
    words = " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert said in words
    assert measured in (ROOT / file).read_text("utf-8")
