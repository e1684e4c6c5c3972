"""docs/headers.md lists what the gateway says: response headers, and the reasons of the ledger."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from stats.dashboard.request_detail import NOT_KEPT_DESCRIPTIONS, REASON_DESCRIPTIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "headers.md").read_text("utf-8")
# Marks of calls that the gateway makes by itself: no client is told of them.
TOLD_TO_NOBODY = {"judge"}


def section(heading: str) -> str:
    return PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]


def test_every_response_header_is_listed_and_no_other() -> None:
    files = (ROOT / "proxy").rglob("*.py")
    sent = {
        name
        for file in files
        for name in re.findall(r"x-tokenthrift-[a-z-]+", file.read_text("utf-8"))
    }
    assert (
        set(
            re.findall(r"^\| `(x-tokenthrift-[a-z-]+)`", section("On every response"), re.MULTILINE)
        )
        == sent
    )


@pytest.mark.parametrize(
    ("heading", "reasons"),
    [
        ("What is kept", NOT_KEPT_DESCRIPTIONS),
        ("On every response", REASON_DESCRIPTIONS.keys() - TOLD_TO_NOBODY),
    ],
)
def test_every_reason_is_explained(heading: str, reasons: Iterable[str]) -> None:
    explained = set(
        re.findall(r"`([a-z-]+)`", PAGE if heading == "On every response" else section(heading))
    )
    assert set(reasons) <= explained
