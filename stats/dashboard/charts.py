"""The dashboard's charts: their figures, and the data that the browser draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from stats.dashboard.annotations import Annotation
from stats.dashboard.period_wording import format_point_time
from stats.formatting import count, milliseconds, percent, usd
from stats.reports.filters import ReportFilter
from stats.reports.latency import LatencyPoint, choose_grain
from stats.reports.series import SeriesPoint

# Bars and intervals as numbers that a template writes into an SVG. Pure; no style, no script:
# classes only.


@dataclass(frozen=True, slots=True)
class BarPiece:
    """A rectangle in units of the viewBox."""

    kind: str
    # Text, so that no locale turns the decimal point into a comma.
    x: str
    width: str
    title: str


def build_share_bar(parts: Sequence[tuple[str, str, float]]) -> tuple[BarPiece, ...]:
    """Build a horizontal bar of 100 units, split by (class, name, value); empty if all are zero."""
    total = sum(value for _, _, value in parts)
    pieces: list[BarPiece] = []
    x = 0.0
    for kind, name, value in parts:
        if value > 0:
            width = 100 * value / total
            pieces.append(
                BarPiece(kind, f"{x:.3f}", f"{width:.3f}", f"{name}: {100 * value / total:.1f} %")
            )
            x += width
    return tuple(pieces)


@dataclass(frozen=True, slots=True)
class RateInterval:
    """A measured rate on a line of 100 units: bounds, rate ("" if unknown) and limit."""

    low: str
    width: str
    rate: str
    limit: str


def build_rate_intervals(
    rates: Sequence[tuple[float, float | None, float, float]],
) -> tuple[list[RateInterval], float]:
    """Build intervals from (lower, rate, upper, limit); also return the rate at the line's end."""
    # The same end for all: twice the greatest limit, or what is needed to show the greatest rate.
    end = max(
        (max(2 * limit, 1.25 * (rate or 0), 1.25 * lower) for lower, rate, _, limit in rates),
        default=1.0,
    )

    def at(value: float) -> float:
        return 100 * min(1.0, value / end)

    found = [
        RateInterval(
            f"{at(lower):.2f}",
            f"{at(upper) - at(lower):.2f}",
            "" if rate is None else f"{at(rate):.2f}",
            f"{at(limit):.2f}",
        )
        for lower, rate, upper, limit in rates
    ]
    return found, end


# The dashboard's charts over time: the numbers that the script draws, and the same as a table.

MAX_TABLE_ROWS: Final = 200  # of a table; with a row per minute a page could have thousands


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart and its table.

    `kind`: what the script draws; `legend`: (class, name) of each line or area; `rows`: newest
    first, starting with the time; `more`: number of rows that only the CSV has.
    """

    kind: str
    title: str
    note: str
    legend: tuple[tuple[str, str], ...]
    heads: tuple[str, ...]
    rows: list[list[str]]
    more: int
    csv: bool = True


def build_charts(
    asked: ReportFilter, points: Sequence[SeriesPoint], paces: Sequence[LatencyPoint]
) -> list[Chart]:
    """Build the charts of money, tiers, tokens and durations."""
    of = asked.granularity
    newest = list(reversed(points[-MAX_TABLE_ROWS:]))
    more = max(0, len(points) - MAX_TABLE_ROWS)

    def rows(cells: Any) -> list[list[str]]:
        return [[format_point_time(point.at, of), *cells(point.totals)] for point in newest]

    return [
        Chart(
            "money",
            f"Spend by {of}",
            "what the requests would have cost without a plan, and what was paid",
            (("would", "would have cost"), ("paid", "paid"), ("gain", "saved"), ("lost", "lost")),
            ("Would have cost", "Paid", "Saved"),
            rows(lambda sums: [usd(sums.would_cost), usd(sums.after), usd(sums.saved)]),
            more,
        ),
        Chart(
            "tiers",
            f"Requests by {of}",
            "where answers came from",
            (
                ("exact", "exact hit"),
                ("semantic", "semantic hit"),
                ("miss", "miss"),
                ("bypass", "not looked up"),
            ),
            ("Exact", "Semantic", "Miss", "Not looked up", "Hit rate"),
            rows(
                lambda sums: [
                    *map(count, (sums.exact, sums.semantic, sums.misses, sums.bypassed)),
                    _format_hit_rate(sums),
                ]
            ),
            more,
        ),
        Chart(
            "tokens",
            f"Tokens by {of}",
            "prompt tokens as asked, and as the provider billed them",
            (("would", "asked"), ("paid", "sent"), ("gain", "saved"), ("lost", "added")),
            ("Asked", "Sent", "Saved"),
            rows(
                lambda sums: [
                    count(sums.asked_tokens),
                    count(sums.sent_tokens),
                    count(sums.tokens_saved),
                ]
            ),
            more,
        ),
        _build_duration_chart(asked, paces),
    ]


def _build_duration_chart(asked: ReportFilter, paces: Sequence[LatencyPoint]) -> Chart:
    of = choose_grain(asked)
    narrower = any(value is not None for value in (asked.key_id, asked.route, asked.model))
    note = "median milliseconds until the last byte, on a scale of powers of ten"
    rows = [
        [
            format_point_time(pace.at, of),
            *(
                milliseconds(pair[number] if pair else None)
                for pair in (pace.hit_ms, pace.miss_ms)
                for number in (0, 1)
            ),
        ]
        for pace in reversed(paces[-MAX_TABLE_ROWS:])
    ]
    return Chart(
        "paces",
        f"Duration by {of}",
        f"{note}; of the whole plan, whatever the key, route and model" if narrower else note,
        (("exact", "with a hit"), ("miss", "without")),
        ("Hit, median ms", "Hit, p99 ms", "Miss, median ms", "Miss, p99 ms"),
        rows,
        max(0, len(paces) - MAX_TABLE_ROWS),
        csv=False,
    )


def build_chart_series(
    asked: ReportFilter,
    points: Sequence[SeriesPoint],
    paces: Sequence[LatencyPoint],
    marks: Sequence[Annotation],
) -> dict[str, Any]:
    """Build the data that the script draws.

    Lists as long as `at` (epoch seconds), None for unknown values. Dollars as floats, for display
    only.
    """
    totals = [point.totals for point in points]
    return {
        "granularity": asked.granularity,
        "at": [point.at.timestamp() for point in points],
        "money": [
            [_dollars_to_float(each.would_cost) for each in totals],
            [_dollars_to_float(each.after) for each in totals],
        ],
        "tiers": [
            [getattr(each, name) for each in totals]
            for name in ("exact", "semantic", "misses", "bypassed")
        ],
        "tokens": [[each.asked_tokens for each in totals], [each.sent_tokens for each in totals]],
        "paces_at": [pace.at.timestamp() for pace in paces],
        "paces": [
            [pace.hit_ms[0] if pace.hit_ms else None for pace in paces],
            [pace.miss_ms[0] if pace.miss_ms else None for pace in paces],
        ],
        "marks": [[mark.at.timestamp(), mark.kind] for mark in marks],
    }


def _format_hit_rate(sums: Any) -> str:
    return percent(sums.hit_rate if sums.requests else None)


def _dollars_to_float(dollars: Decimal | None) -> float | None:
    return None if dollars is None else float(dollars)
