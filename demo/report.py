"""Bring the figures together, hold them against each other, print them and write the JSON file."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from demo import agreement
from demo.figures import Bill, Figures, figures
from demo.replay import Outcome, origins
from demo.table import render


class Disagreement(Exception):
    """Two that counted the same thing differ. The message holds one line each."""


def report(outcomes: Sequence[Outcome], bills: Mapping[str, Bill], ledger: Mapping[str, Any] | None, *, file: Path | None) -> None:
    """Print the table, write `file`. `ledger`: what the demo upstream saw; None: a provider that does not tell. Raises Disagreement."""
    known = origins(outcomes)
    by_plan = {plan: [outcome for outcome in outcomes if outcome.question.plan == plan] for plan in bills}
    plans = {plan: figures(by_plan[plan], bill, known) for plan, bill in bills.items()}
    whole = reduce(add, bills.values())
    total = figures(outcomes, whole, known)
    print(render(plans, total), flush=True)
    if file is not None:
        file.write_text(json.dumps(as_json(plans, total), indent=2) + "\n")
    faults: list[str] = [*agreement.mixed_up(outcomes)]
    for plan, bill in bills.items():
        faults += agreement.disagreements(plan, by_plan[plan], bill)
    if ledger is not None:
        faults += agreement.ledger_disagreements(outcomes, whole, ledger)
    _refuse(faults)


def as_json(plans: Mapping[str, Figures], total: Figures) -> dict[str, Any]:
    """The shape of the JSON file."""
    return {"plans": {plan: each.as_json() for plan, each in plans.items()}, "total": total.as_json()}


def _refuse(faults: Iterable[str]) -> None:
    lines = list(faults)
    if lines:
        raise Disagreement("The figures do not agree:\n  " + "\n  ".join(lines[:20]))
