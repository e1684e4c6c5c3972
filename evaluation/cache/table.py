"""The figures as Markdown tables."""

from collections.abc import Mapping, Sequence
from typing import Any

RATES = ("hit_rate", "false_hit_rate", "recall", "traps_served")


def by_set(decisions: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each set and decision."""
    names = list(dict.fromkeys(name for found in decisions.values() for name in found))
    rows = [
        [name, decision, str(found[name]["rows"]), *(number(found[name][rate]) for rate in RATES)]
        for name in names
        for decision, found in decisions.items()
        if name in found
    ]
    return table(
        ["set", "decision", "rows", "hit rate", "wrong of hits", "recall", "traps served"],
        rows,
        texts=2,
    )


def by_group(decisions: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each group, with the share that each decision served."""
    last = list(decisions.values())[-1]
    rows = [
        [
            name,
            group,
            str(found["rows"]),
            {1.0: "same", 0.0: "trap"}.get(found["same"], number(found["same"])),
            *(
                number(each[name]["groups"][group]["served"]) if name in each else ""
                for each in decisions.values()
            ),
        ]
        for name, of_set in last.items()
        for group, found in of_set["groups"].items()
    ]
    return table(["set", "group", "rows", "is", *decisions], rows, texts=2)


def number(value: float | None) -> str:
    """To three places; a dash where there was nothing to measure."""
    return "-" if value is None else f"{value:.3f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """The first `texts` columns are words, the others figures."""
    rule = [*["---"] * texts, *["---:"] * (len(head) - texts)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *rows])
