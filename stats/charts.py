"""Bars and intervals as numbers that a template writes into an SVG. Pure; no style, no script: classes only."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangle in the units of the viewBox, written as text so that no locale turns its point into a comma."""

    kind: str
    x: str
    width: str
    title: str


def share_bar(parts: Sequence[tuple[str, str, float]]) -> tuple[Piece, ...]:
    """One lying bar of 100 units, split by (class, name, value); nothing when all are zero."""
    total = sum(value for _, _, value in parts)
    pieces: list[Piece] = []
    x = 0.0
    for kind, name, value in parts:
        if value > 0:
            width = 100 * value / total
            pieces.append(Piece(kind, f"{x:.3f}", f"{width:.3f}", f"{name}: {100 * value / total:.1f} %"))
            x += width
    return tuple(pieces)


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured rate on a line of 100 units: its bounds, the rate itself ("" when nothing is known of it) and the limit."""

    low: str
    width: str
    rate: str
    limit: str


def intervals(rates: Sequence[tuple[float, float | None, float, float]]) -> tuple[list[Interval], float]:
    """Those of (lower, rate, upper, limit), and the rate at the line's end, the same for all: twice the greatest limit, or what is needed
    to show the greatest rate."""
    end = max((max(2 * limit, 1.25 * (rate or 0), 1.25 * lower) for lower, rate, _, limit in rates), default=1.0)

    def at(value: float) -> float:
        return 100 * min(1.0, value / end)

    found = [
        Interval(f"{at(lower):.2f}", f"{at(upper) - at(lower):.2f}", "" if rate is None else f"{at(rate):.2f}", f"{at(limit):.2f}")
        for lower, rate, upper, limit in rates
    ]
    return found, end
