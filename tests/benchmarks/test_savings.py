"""The chart of savings in the README says what the demo's figures say."""

import json
from pathlib import Path

import pytest

from benchmarks.plots import FOLDER
from benchmarks.savings import FIGURES, THEMES, draw, title


def test_the_title_holds_the_total_and_its_share() -> None:
    total = {"requests": 2000, "cost_before_usd": 4.0, "cost_after_usd": 1.0}
    assert title(total) == "The demo's 2,000 requests cost $1.000 instead of $4.000: 75 % less"


@pytest.mark.parametrize("theme", THEMES)
def test_the_chart_that_is_shown_is_drawn_from_the_figures(theme: str, tmp_path: Path) -> None:
    drawn = draw(json.loads(FIGURES.read_text("utf-8")), theme, tmp_path)
    assert drawn.read_text("utf-8") == (FOLDER / drawn.name).read_text("utf-8")
