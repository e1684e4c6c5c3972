"""The figures as a table for people: one column per plan and one for the total."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from demo.figures import Figures


def _count(value: Any) -> str:
    return f"{value:,}"


def _dollars(value: Decimal | None, requests: int) -> str:
    if value is None:
        return "unpriced" if requests else "-"
    return f"${value:.6f}"


def _ms(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:.1f} / {high:.1f} ms"


def _cut(before: Any, after: Any) -> str:
    return f"{100 * (1 - after / before):.1f} %" if before else "-"


ROWS: Sequence[tuple[str, Callable[[Figures], str]]] = (
    ("requests", lambda f: _count(f.requests)),
    ("exact hits", lambda f: _count(f.exact_hits)),
    ("semantic hits", lambda f: _count(f.semantic_hits)),
    ("wrong hits", lambda f: _count(f.wrong_hits)),
    ("unlabelled hits", lambda f: _count(f.unlabelled_hits)),
    ("compressed requests", lambda f: _count(f.compressed)),
    ("input tokens before", lambda f: _count(f.input_tokens_before)),
    ("input tokens after", lambda f: _count(f.input_tokens_after)),
    ("  less by", lambda f: _cut(f.input_tokens_before, f.input_tokens_after)),
    ("spend before", lambda f: _dollars(f.cost_before_usd, f.requests)),
    ("spend after", lambda f: _dollars(f.cost_after_usd, f.requests)),
    ("  less by", lambda f: _cut(f.cost_before_usd, f.cost_after_usd)),
    ("exact hit p50 / p99", lambda f: _ms(f.exact_hit_p50_ms, f.exact_hit_p99_ms)),
    ("semantic hit p50 / p99", lambda f: _ms(f.semantic_hit_p50_ms, f.semantic_hit_p99_ms)),
    ("a miss adds p50 / p99", lambda f: _ms(f.miss_added_p50_ms, f.miss_added_p99_ms)),
)


def render(plans: Mapping[str, Figures], total: Figures) -> str:
    """The table as text, lines of equal width."""
    columns = {**plans, "total": total}
    cells = [["", *columns]] + [
        [title, *(show(figures) for figures in columns.values())] for title, show in ROWS
    ]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns) + 1)]
    lines = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in cells
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
