"""What the stream showed, in numbers and as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.plots import COLOURS, GREY, INK
from evaluation.budget.stream import Seen, Served

ROLLING = 200  # semantic hits


def figures(served: Sequence[Served], seen: Sequence[Seen], *, limit: float) -> dict[str, Any]:
    """Before the stream turned, from there until the tier was off, and after:
    semantic hits and how many were wrong."""
    turned = len(served) // 2
    off = next((look for look in seen if look.budget["semantic_tier"] == "off"), None)
    last_hit = max(
        (place for place, reply in enumerate(served) if reply.tier == "semantic"), default=0
    )
    until = len(served) if off is None else off.replies
    parts = (
        {"before": served[:turned], "hostile": served[turned:until], "after": served[until:]}
        if until >= turned
        else {"all": served}
    )
    hits = {
        name: [reply for reply in part if reply.tier == "semantic"] for name, part in parts.items()
    }
    vouched = next((look.replies for look in seen if look.budget["vouched"]), None)
    return {
        "requests": len(served),
        "max_error_rate": limit,
        "turned_hostile_at": turned,
        "vouched_at": vouched,
        "off_seen_at": off and off.replies,
        "last_semantic_hit_at": last_hit + 1,
        "reason": off and off.budget["detail"],
        "semantic_hits": {name: len(found) for name, found in hits.items()},
        "wrong_hits": {name: sum(reply.wrong for reply in found) for name, found in hits.items()},
        "exact_hits_after": sum(reply.tier == "exact" for reply in parts.get("after", [])),
        "at_the_turn": next(
            (look.budget for look in reversed(seen) if look.replies <= turned), None
        ),
        "at_the_end": seen[-1].budget,
    }


def draw(served: Sequence[Served], seen: Sequence[Seen], found: dict[str, Any], file: Path) -> None:
    """The measured rate and its interval, the true rate, the budget, and the two moments,
    as PNG or SVG by the file's name."""
    mpl.use("Agg")
    figure = Figure(figsize=(7.8, 4.6), dpi=130, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    looks = [look for look in seen if look.budget["samples"]]
    replies = [look.replies for look in looks]
    lower, upper = ([100 * look.budget[name] for look in looks] for name in ("lower", "upper"))
    axes.fill_between(
        replies, lower, upper, color=COLOURS[0], alpha=0.18, linewidth=0, label="95 % interval"
    )
    axes.plot(
        replies,
        [100 * (look.budget["wrong_rate"] or 0) for look in looks],
        color=COLOURS[0],
        linewidth=2,
        label="measured by samples",
    )
    places, rates = _true_rate(served)
    axes.plot(
        places,
        rates,
        color=COLOURS[1],
        linewidth=1.2,
        label=f"true, of the last {ROLLING} semantic hits",
    )
    limit = 100 * found["max_error_rate"]
    axes.axhline(
        limit, color=COLOURS[2], linewidth=1.2, linestyle="--", label=f"budget {limit:g} %"
    )
    for place, text, down in (
        (found["turned_hostile_at"], "turns hostile", -10),
        (found["off_seen_at"], "tier off", -24),
    ):
        if place is not None:
            axes.axvline(place, color=GREY, linewidth=1.2)
            axes.annotate(
                text,
                (place, 1),
                xycoords=("data", "axes fraction"),
                xytext=(4, down),
                textcoords="offset points",
                fontsize=9,
            )
    axes.set_ylim(0, max(4 * limit, *rates, 1))
    axes.set_xlabel("requests", color=INK)
    axes.set_ylabel("wrong hits, %", color=INK)
    gap = (
        None if found["off_seen_at"] is None else found["off_seen_at"] - found["turned_hostile_at"]
    )
    title = (
        "The tier stayed on"
        if gap is None
        else f"Off {gap:,} requests after the stream turned hostile"
    )
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else {"Software": None})


def _true_rate(served: Sequence[Served]) -> tuple[list[int], list[float]]:
    """The share of wrong ones among the last semantic hits, in per cent, after each of them."""
    window: list[bool] = []
    places, rates = list[int](), list[float]()
    for place, reply in enumerate(served, 1):
        if reply.tier == "semantic":
            window = [*window[1 - ROLLING :], reply.wrong]
            if len(window) >= ROLLING // 4:
                places.append(place)
                rates.append(100 * sum(window) / len(window))
    return places, rates
