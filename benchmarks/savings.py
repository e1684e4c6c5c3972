"""`python -m benchmarks.savings [demo.json]`: draw what `make demo JSON=demo.json` cost and saved.

Writes `plots/savings-light.svg` and `plots/savings-dark.svg`, one for each theme of a reader.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.plots import FOLDER

FIGURES: Final = Path(__file__).resolve().parent / "demo.json"
# Text, what was paid, what was saved; each has a contrast of 3:1 or more to its page.
THEMES: Final = {
    "light": ("#333333", "#8a8a8a", "#2f7d4f"),
    "dark": ("#d5d9de", "#8a8a8a", "#3fa66b"),
}
BAR_HEIGHT: Final = 0.52


def main() -> None:
    """Draw the figures of the file named, or those of the last demo that was written down."""
    figures = json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else FIGURES).read_text("utf-8"))
    for theme in THEMES:
        print(draw(figures, theme))


def draw(figures: Mapping[str, Any], theme: str, folder: Path = FOLDER) -> Path:
    """A bar for each plan: paid and saved, as shares of what it would have cost."""
    mpl.use("Agg")
    ink, paid, saved = THEMES[theme]
    # The same figures give the same bytes: ids are salted, and no date is written.
    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "savings", "text.parse_math": False}
    ):
        figure = Figure(figsize=(7.2, 2.6), layout="constrained")
        axes = figure.subplots()
        _bars(axes, figures["plans"], paid, saved, ink)
        axes.set_title(title(figures["total"]), loc="left", color=ink, fontsize=11, pad=12)
        axes.legend(
            loc="upper left", bbox_to_anchor=(0, -0.02), ncols=2, frameon=False, labelcolor=ink
        )
        file = folder / f"savings-{theme}.svg"
        figure.savefig(file, transparent=True, metadata={"Date": None, "Creator": None})
    return file


def title(total: Mapping[str, Any]) -> str:
    """What the picture says, from its data."""
    before, after = total["cost_before_usd"], total["cost_after_usd"]
    return (
        f"The demo's {total['requests']:,} requests cost ${after:.3f} instead of ${before:.3f}: "
        f"{100 * (1 - after / before):.0f} % less"
    )


def _bars(axes: Axes, plans: Mapping[str, Any], paid: str, saved: str, ink: str) -> None:
    names = list(plans)
    shares = [plan["cost_after_usd"] / plan["cost_before_usd"] for plan in plans.values()]
    axes.barh(names, shares, BAR_HEIGHT, color=paid, label="paid")
    rest = [1 - share for share in shares]
    axes.barh(names, rest, BAR_HEIGHT, left=shares, color=saved, label="saved")
    for place, (plan, share) in enumerate(zip(plans.values(), shares, strict=True)):
        dollars = f"${plan['cost_before_usd'] - plan['cost_after_usd']:.4f}"
        axes.annotate(
            f"{100 * (1 - share):.0f} % saved, {dollars} of ${plan['cost_before_usd']:.4f}",
            (0, place),
            xytext=(0, 16),
            textcoords="offset points",
            color=ink,
            va="bottom",
            fontsize=9,
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.5, len(names) - 0.2)
    axes.set_xticks([])
    axes.tick_params(left=False, labelcolor=ink)
    axes.spines[:].set_visible(False)


if __name__ == "__main__":
    main()
