"""The figures of one run as one Markdown table."""

from benchmarks.targets import FIGURES, Figure, Found


def render(found: Found) -> str:
    """One line for each figure that was measured."""
    lines = ["| figure | this run | target | met? |", "| --- | ---: | --- | --- |"]
    lines += [row(figure, found) for figure in FIGURES if figure.name in found]
    return "\n".join(lines)


def row(figure: Figure, found: Found) -> str:
    return f"| {figure.title} | {show(found[figure.name], figure.unit)} | {figure.target} | {verdict(figure, found)} |"


def verdict(figure: Figure, found: Found) -> str:
    """Whether the target is met; empty where there is none, or where what it compares with was not measured."""
    if figure.met is None:
        return ""
    try:
        return "yes" if figure.met(found) else "**no**"
    except KeyError:
        return ""


def show(value: float, unit: str) -> str:
    """Three digits that matter, thousands apart, and the unit."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()
