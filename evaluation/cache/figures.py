"""What a cache did with labelled requests, as rates."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """A request of a `group`.

    `same`: an answer kept was the right one for it, `served`: one was served, `right`: that was it.
    """

    group: str
    same: bool
    served: bool
    right: bool


def rates(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Shares: `hit_rate` of all that was served, `false_hit_rate` of the hits wrong,
    `recall` of those with a right answer that got it, `traps_served` of those without that got one
    all the same. None where there was nothing to take a share of."""
    found = list(outcomes)
    hits, same = [one for one in found if one.served], [one for one in found if one.same]
    traps = [one for one in found if not one.same]
    return {
        "rows": len(found),
        "hit_rate": share(len(hits), len(found)),
        "false_hit_rate": share(sum(not one.right for one in hits), len(hits)),
        "recall": share(sum(one.served and one.right for one in same), len(same)),
        "traps_served": share(sum(one.served for one in traps), len(traps)),
        "groups": {
            name: _group([one for one in found if one.group == name])
            for name in sorted({one.group for one in found})
        },
    }


def _group(outcomes: list[Outcome]) -> dict[str, Any]:
    """`same`: the share of the group for which a right answer was kept;
    all or none of a group of pairs."""
    return {
        "rows": len(outcomes),
        "served": share(sum(one.served for one in outcomes), len(outcomes)),
        "same": share(sum(one.same for one in outcomes), len(outcomes)),
    }


def share(part: int, whole: int) -> float | None:
    """A share to four places; None of nothing."""
    return round(part / whole, 4) if whole else None
