"""Stacked bars as numbers that a template writes into an SVG. Pure; no style, no script: classes only."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720.0, 150.0
GAP = 0.25  # of each column


@dataclass(frozen=True, slots=True)
class Column:
    """One bar: its name, what it says when pointed at, and its parts from the bottom up as (class, value)."""

    label: str
    title: str
    parts: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangle in the units of the viewBox, written as text so that no locale turns its point into a comma."""

    kind: str
    x: str
    y: str
    width: str
    height: str
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`top`: the value at full height. `first`, `last`: names of the outer columns. `marks`: columns are wide enough to tell apart."""

    pieces: tuple[Piece, ...]
    top: float
    first: str
    last: str
    view_box: str = f"0 0 {WIDTH:g} {HEIGHT:g}"

    @property
    def empty(self) -> bool:
        return not self.pieces


def stacked(columns: Sequence[Column]) -> Chart:
    """Columns side by side over the full width, the tallest at full height. Negative parts are left out."""
    top = max((sum(max(value, 0) for _, value in column.parts) for column in columns), default=0.0)
    pieces: list[Piece] = []
    step = WIDTH / max(len(columns), 7)  # a few columns stay bars, not blocks
    left = (WIDTH - step * len(columns)) / 2
    for number, column in enumerate(columns):
        floor = HEIGHT
        for kind, value in column.parts:
            if value <= 0:
                continue
            height = value / top * (HEIGHT - 2)
            floor -= height
            x = left + step * (number + GAP / 2)
            pieces.append(Piece(kind, f"{x:.2f}", f"{floor:.2f}", f"{step * (1 - GAP):.2f}", f"{height:.2f}", column.title))
    return Chart(tuple(pieces), top, columns[0].label if columns else "", columns[-1].label if columns else "")


def share_bar(parts: Sequence[tuple[str, str, float]]) -> tuple[Piece, ...]:
    """One lying bar of 100 units, split by (class, name, value); nothing when all are zero."""
    total = sum(value for _, _, value in parts)
    pieces: list[Piece] = []
    x = 0.0
    for kind, name, value in parts:
        if value > 0:
            width = 100 * value / total
            pieces.append(Piece(kind, f"{x:.3f}", "0", f"{width:.3f}", "4", f"{name}: {100 * value / total:.1f} %"))
            x += width
    return tuple(pieces)
