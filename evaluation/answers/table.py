"""The figures as Markdown tables."""

from collections.abc import Sequence
from typing import Any


def render(figures: dict[str, Any]) -> str:
    """One table of the arms, one of their differences."""
    return f"{_arms(figures['arms'])}\n\n{_differences(figures['differences'])}"


def _arms(arms: dict[str, Any]) -> str:
    sources = sorted({source for found in arms.values() for source in found["f1_by_source"]})
    head = [
        "sent",
        "F1",
        *(f"F1 {source}" for source in sources),
        "evidence sent",
        "prompt tokens",
        "first token cold",
        "warm",
    ]
    rows = [
        [
            name,
            f"{found['f1']:.3f}",
            *(f"{found['f1_by_source'][source]:.3f}" for source in sources),
            f"{found['evidence']:.3f}",
            f"{found['prompt_tokens']:,}",
            _times(found["first_token_ms"]["cold"]),
            _times(found["first_token_ms"]["warm"]),
        ]
        for name, found in arms.items()
    ]
    return _table(head, rows)


def _times(found: dict[str, float | None]) -> str:
    """p50 / p90 in seconds."""
    low, high = found["p50"], found["p90"]
    return "-" if low is None or high is None else f"{low / 1000:.2f} / {high / 1000:.2f} s"


def _differences(differences: dict[str, Any]) -> str:
    rows = [
        [name, f"{found['mean']:+.3f}", f"{found['low']:+.3f} to {found['high']:+.3f}"]
        for name, found in differences.items()
    ]
    return _table(["difference of F1", "mean", "95 % interval"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *rows])
