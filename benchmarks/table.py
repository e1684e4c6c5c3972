"""The figures of one run as one Markdown table."""

from collections.abc import Mapping

from benchmarks.targets import FIGURES, Figure, Found

Peers = Mapping[str, Mapping[str, float | str]]


def render(found: Found, peers: Peers) -> str:
    """One line for each figure that was measured, one column more for each peer."""
    names = [f"{name} {peer.get('version', '')}".strip() for name, peer in peers.items()]
    lines = [
        cells("figure", "this run", *names, "target", "met?"),
        cells("---", *["---:"] * (1 + len(names)), "---", "---"),
    ]
    for figure in FIGURES:
        if figure.name in found:
            rivals = [rival(figure, peer) for peer in peers.values()]
            lines.append(
                cells(
                    figure.title,
                    show(found[figure.name], figure.unit),
                    *rivals,
                    figure.target,
                    verdict(figure, found),
                )
            )
    return "\n".join(lines)


def cells(*values: str) -> str:
    return f"| {' | '.join(values)} |"


def verdict(figure: Figure, found: Found) -> str:
    """Whether the target is met; empty where there is none,
    or where what it compares with was not measured."""
    if figure.met is None:
        return ""
    try:
        return "yes" if figure.met(found) else "**no**"
    except KeyError:
        return ""


def rival(figure: Figure, peer: Mapping[str, float | str]) -> str:
    """The same figure of a peer; empty where it has none."""
    value = peer.get(figure.peer)
    return show(value, figure.unit) if isinstance(value, float) else ""


def show(value: float, unit: str) -> str:
    """Three digits that matter, thousands apart, and the unit."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()
