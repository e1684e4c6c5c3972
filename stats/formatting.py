"""Format numbers for people."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()
NO_VALUE = "\N{EN DASH}"
MINUS_SIGN = "\N{MINUS SIGN}"


@register.filter
def usd(value: Decimal | float | None) -> str:
    """Format dollars: cents from ten cents up, three significant digits below."""
    if value is None:
        return NO_VALUE
    amount, sign = abs(Decimal(value)), MINUS_SIGN if value < 0 else ""
    if amount >= Decimal("0.1") or not amount:
        return f"{sign}${amount:,.2f}"
    places = max(2, 2 - amount.adjusted())
    return f"{sign}${amount:.{places}f}"


@register.filter
def count(value: float | None) -> str:
    """Format a whole number with thousands separators."""
    return NO_VALUE if value is None else f"{value:,.0f}".replace("-", MINUS_SIGN)


@register.filter
def percent(value: float | None) -> str:
    """Format a share of 1 in per cent, with one decimal below ten."""
    if value is None:
        return NO_VALUE
    places = 1 if 0 < abs(value) < 0.0995 else 0
    return f"{value * 100:.{places}f}\N{NO-BREAK SPACE}%".replace("-", MINUS_SIGN)


@register.filter
def rate(value: float | None) -> str:
    """Format a small share of 1 in per cent, with two decimals below ten."""
    if value is None:
        return NO_VALUE
    return f"{value * 100:.{2 if value < 0.0995 else 0}f}\N{NO-BREAK SPACE}%"


@register.filter
def over(value: Decimal | float | None, whole: Decimal | float | None) -> float | None:
    """Compute the share of `value` in `whole`; None if either is missing or zero."""
    return float(value) / float(whole) if value is not None and whole else None


@register.filter
def milliseconds(value: float | Literal[""] | None) -> str:
    if value is None or value == "":  # what a template makes of an item of None
        return NO_VALUE
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


@register.filter
def ago(seconds: float) -> str:
    """Format how long ago, in the largest unit."""
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {name}{'s' if number > 1 else ''} ago"
    number = max(0, int(seconds))
    return f"{number} second{'' if number == 1 else 's'} ago"


@register.filter
def table_rows(rows: Iterable[list[str]]) -> SafeString:
    """Render table rows whose first cell names the row."""
    # Hundreds of them, for which template tags would take a tenth of a second. Negative dollars are
    # marked as a loss.
    cells = (
        (row[0], format_html_join("", "{}", ((_render_cell(text),) for text in row[1:])))
        for row in rows
    )
    return format_html_join("", '<tr><th scope="row">{}</th>{}</tr>', cells)


def _render_cell(text: str) -> SafeString:
    return format_html(
        '<td class="loss">{}</td>' if text.startswith(f"{MINUS_SIGN}$") else "<td>{}</td>", text
    )


@register.filter
def size(value: Decimal) -> Decimal:
    """Return the absolute value."""
    return -value if value < 0 else value


@register.filter
def points(share: Decimal | float) -> str:
    """Format a difference of two shares of 1 in percentage points."""
    return f"{float(share) * 100:.1f}"


@register.filter
def bar(share: float | None) -> str:
    """Format the width of a bar of at most 100 for an SVG; 0 if unknown or negative."""
    return f"{100 * min(max(share or 0.0, 0.0), 1.0):.2f}"
