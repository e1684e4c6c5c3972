"""Bring the figures together, hold them against each other, print them and write the JSON file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from demo import agreement, dashboard
from demo.figures import Bill, Figures, figures
from demo.replay import HIT_TIERS, Outcome, answered_label, origins
from demo.table import render


class Disagreement(Exception):
    """Two that counted the same thing differ. The message holds one line each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """Who else counted.

    `ledger`: what the demo upstream saw; None: a provider that does not tell. `dashboard`: its
    page.
    """

    bills: Mapping[str, Bill]
    ledger: Mapping[str, Any] | None
    dashboard: str


def report(
    outcomes: Sequence[Outcome], witnesses: Witnesses, *, file: Path | None, wrong: Path
) -> None:
    """Print the table, write the figures to `file` and each wrong hit to `wrong`.

    Raises Disagreement.
    """
    known = origins(outcomes)
    by_plan = {
        plan: [outcome for outcome in outcomes if outcome.question.plan == plan]
        for plan in witnesses.bills
    }
    plans = {plan: figures(by_plan[plan], bill, known) for plan, bill in witnesses.bills.items()}
    whole = reduce(add, witnesses.bills.values())
    total = figures(outcomes, whole, known)
    print(render(plans, total), flush=True)
    if file is not None:
        file.write_text(json.dumps(as_json(plans, total), indent=2) + "\n")
    _write_wrong_hits(outcomes, known, wrong)
    faults: list[str] = [*agreement.mixed_up(outcomes)]
    for plan, bill in witnesses.bills.items():
        faults += agreement.disagreements(plan, by_plan[plan], bill)
    if witnesses.ledger is not None:
        faults += agreement.ledger_disagreements(outcomes, whole, witnesses.ledger)
    faults += dashboard.disagreements(witnesses.dashboard, witnesses.bills)
    if faults:
        raise Disagreement("The figures do not agree:\n  " + "\n  ".join(faults[:20]))


def _write_wrong_hits(outcomes: Sequence[Outcome], known: Mapping[str, str], wrong: Path) -> None:
    """One JSON line each: what was asked, and for which label the answer had been made."""
    rows = []
    for outcome in outcomes:
        question, answered = outcome.question, answered_label(outcome, known)
        if outcome.tier in HIT_TIERS and question.verdict(answered) == "wrong":
            asked = question.messages[-1]["content"]
            rows.append(
                {
                    "plan": question.plan,
                    "tier": outcome.tier,
                    "asked": asked,
                    "label": question.label,
                    "answered": answered,
                }
            )
    wrong.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    if rows:
        print(f"the {len(rows)} wrong hits are in {wrong}")


def as_json(plans: Mapping[str, Figures], total: Figures) -> dict[str, Any]:
    """The shape of the JSON file."""
    return {
        "plans": {plan: each.as_json() for plan, each in plans.items()},
        "total": total.as_json(),
    }
