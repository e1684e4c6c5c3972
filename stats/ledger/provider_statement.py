"""Compare the ledger with a provider's statement of calls.

Every call that the provider lists must be a settled request or one of unknown outcome, and the
amounts must agree. The statement is JSON: {"calls": [{"id", "model", "prompt_tokens",
"completion_tokens", "cost_usd"}, ...]} with the x-request-id that was sent, and dollars as a
string.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen
from uuid import UUID

from stats.ledger.reconciliation import MAX_SHOWN_DIFFERENCES, ConsistencyCheck
from stats.models.requests import RequestEvent, UpstreamAttempt

ONE_CENT_USD: Final = Decimal("0.01")
_READ_TIMEOUT_SECONDS: Final = 30


class InvalidStatement(Exception):
    """The source is not a provider's statement; the message says why."""


@dataclass(frozen=True, slots=True)
class CallSum:
    """The sum of calls, their tokens and US dollars."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)

    def add_call(self, prompt: int, completion: int, dollars: Decimal) -> "CallSum":
        return CallSum(
            self.calls + 1,
            self.prompt_tokens + prompt,
            self.completion_tokens + completion,
            self.cost_usd + dollars,
        )

    def __str__(self) -> str:
        return (
            f"{self.calls:,} calls, {self.prompt_tokens:,} + {self.completion_tokens:,} tokens, "
            f"${self.cost_usd.normalize():f}"
        )


def read_statement(source: str) -> dict[UUID, Mapping[str, Any]]:
    """Read a statement from a URL or file, by request id. Raises InvalidStatement."""
    try:
        if source.startswith(("http://", "https://")):
            with urlopen(source, timeout=_READ_TIMEOUT_SECONDS) as reply:  # noqa: S310 -- an operator named it  # nosec B310
                found = json.load(reply)
        else:
            found = json.loads(Path(source).read_text())
        return {UUID(call["id"]): call for call in found["calls"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidStatement(
            f"{source} is no ledger of calls: {type(error).__name__}: {error}"
        ) from error


def compare_calls(calls: Mapping[UUID, Mapping[str, Any]]) -> list[ConsistencyCheck]:
    """Compare the calls with the ledger, for ids up to the provider's newest.

    Within `open_snapshot`: later requests are not in the statement yet.
    """
    newest = max(calls, default=UUID(int=0))
    fields = (
        "event_id",
        "prompt_tokens",
        "completion_tokens",
        "billed_cost",
        "spent_cost",
        "estimated",
        "outcome",
        "bill",
    )
    settled = RequestEvent.objects.filter(attempts__gt=0, event_id__lte=newest).values_list(*fields)
    unknown = set(
        UpstreamAttempt.objects.filter(event_id__lte=newest).values_list("event_id", flat=True)
    )
    ours, theirs, guessed, actual, unheard = CallSum(), CallSum(), CallSum(), CallSum(), CallSum()
    seen, apart = set[UUID](), list[str]()
    for event_id, prompt, completion, billed, spent, estimated, outcome, bill in settled.iterator(
        chunk_size=10_000
    ):
        # The cost of an abandoned call is unknown here, like that of a call whose worker was
        # killed.
        if bill == "unknown":
            unknown.add(event_id)
            continue
        call, mine = calls.get(event_id), (prompt, completion, (billed or Decimal(0)) + spent)
        if call is None:
            unheard = unheard.add_call(*mine)
            if not estimated and any(mine):
                apart.append(f"{event_id}: billed here, unknown to the provider")
            continue
        seen.add(event_id)
        his = _get_call_figures(call)
        # Without usage from the provider (client disconnected, stream broke off) the figures are
        # estimates, and are compared separately, to the cent, including calls assumed billed that
        # the provider never saw.
        if estimated or (outcome != "ok" and not any(mine)):
            guessed, actual = guessed.add_call(*mine), actual.add_call(*his)
            continue
        ours, theirs = ours.add_call(*mine), theirs.add_call(*his)
        if mine != his:
            apart.append(
                f"{event_id}: {mine[0]} + {mine[1]} tokens, ${mine[2]} here; {his[0]} + "
                f"{his[1]}, ${his[2]} there"
            )
    lost = CallSum()
    for event_id in unknown & calls.keys():
        lost = lost.add_call(*_get_call_figures(calls[event_id]))
    strangers = sorted(calls.keys() - seen - unknown)
    whole = CallSum()
    for call in calls.values():
        whole = whole.add_call(*_get_call_figures(call))
    told, difference = (
        theirs.cost_usd + actual.cost_usd + lost.cost_usd,
        actual.cost_usd - guessed.cost_usd - unheard.cost_usd,
    )
    return [
        ConsistencyCheck(
            "every call of the provider is known here",
            not strangers,
            f"{len(strangers):,} are not",
            tuple(map(str, strangers[:MAX_SHOWN_DIFFERENCES])),
        ),
        ConsistencyCheck(
            "settled calls agree",
            ours == theirs and not apart,
            f"here {ours}; there {theirs}",
            tuple(apart[:MAX_SHOWN_DIFFERENCES]),
        ),
        ConsistencyCheck(
            "estimated calls agree to the cent",
            abs(difference) < ONE_CENT_USD,
            f"here {guessed}; there {actual}",
        ),
        ConsistencyCheck(
            "settled and unknown are all the provider billed",
            told == whole.cost_usd,
            f"unknown here: {lost} there; all there: {whole}",
        ),
        ConsistencyCheck(
            "calls that never reached the provider cost nothing",
            unheard.cost_usd < ONE_CENT_USD,
            f"here {unheard}",
        ),
    ]


def _get_call_figures(call: Mapping[str, Any]) -> tuple[int, int, Decimal]:
    return call["prompt_tokens"], call["completion_tokens"], Decimal(call["cost_usd"])
