"""A request's decision record for people: what each column of its row means, in words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, get_args

from stats.events import LEDGER_COLUMNS, ColumnKind, LedgerColumn, RecordSection
from stats.formatting import NO_VALUE, count, milliseconds, usd
from stats.models.requests import RequestEvent

TIER_DESCRIPTIONS: Final = {
    "exact": "Answered with the stored answer of an identical request.",
    "semantic": "Answered with the stored answer of a question that means the same.",
    "miss": "Sent to the provider: nothing stored would do.",
    "bypass": "Sent to the provider: the caches stayed out of it.",
    "sample": "No request of a client: a stored answer was compared with the provider's.",
}
OUTCOME_DESCRIPTIONS: Final = {
    "ok": "finished",
    "refused": "refused by the gateway",
    "upstream_error": "the provider failed",
    "cut": "the provider broke off",
    "client_closed": "the client left",
    "failed": "failed",
}
REASON_DESCRIPTIONS: Final = {
    "collapsed": "it shared the call of an identical request that was on its way",
    "holdout": "held out of its plan, to measure what the plan saves",
    "judge": "what a judge model was asked about a sample",
    "no-cache": "the client asked for a fresh answer",
    "no-cache-in-plan": "the plan has no cache",
    "no-plan": "the request named no plan, and there is no default",
    "no-scope": "the plan is scoped by end user, and none was named",
    "no-store": "the client wanted it neither read nor kept",
    "opted-out": "the request asked for no plan",
    "plan-off": "the plan is off",
    "shadow": "the plan only watches",
    "unknown-plan": "there is no plan of that name",
}
BILL_DESCRIPTIONS: Final = {
    "list": "by the provider, by the price list",
    "charged": "by the provider, as it says itself",
    "unknown": (
        "the call was given up before its answer: the provider may have billed it, "
        "and it is in no sum"
    ),
}
TOKEN_DETAIL_NAMES: Final = {
    "written_1h": "Of those written, for an hour",
    "cached_audio": "Of those read, audio",
    "cached_image": "Of those read, images",
    "audio": "Of those sent, audio",
    "image": "Of those sent, images",
    "video": "Of those sent, video",
    "output_audio": "Of the completion, audio",
    "output_image": "Of the completion, images",
    "output_video": "Of the completion, video",
    "reasoning": "Of the completion, reasoning",
    "citation": "Of the completion, citations",
    "searches": "Searches on the web",
}
NOT_KEPT_DESCRIPTIONS: Final[dict[str, str]] = {
    "status": "the provider's answer was an error",
    "no-answer": "the answer holds no text",
    "refusal": "the model refused to give the JSON that was asked for",
    "finish-reason": "the provider did not say that the answer is whole",
    "invalid-json": "JSON was asked for, and the answer is none",
    "schema": "the answer lacks keys that the schema requires, or has other types",
    "tool-calls": "the answer calls tools, which the plan does not keep",
    "no-tool-call": "a tool had to be called, and none was",
    "tool-arguments": (
        "a tool call names no tool that was offered, or its arguments are not what the tool takes"
    ),
    "not-understood": "the answer holds what the gateway cannot put together",
    "stream-cut": "the stream ended before the answer did",
    "too-large": "the answer is larger than what is stored",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and value of the record; `explanation` says what the column means."""

    name: str
    value: str
    explanation: str = ""


def build_record_sections(row: RequestEvent) -> list[tuple[str, list[Fact]]]:
    """Build the sections of the record, in the order in which things happened."""
    found: dict[str, list[Fact]] = {name: [] for name in get_args(RecordSection) if name}
    for column in LEDGER_COLUMNS:
        if column.section and (not column.is_optional or getattr(row, column.name)):
            found[column.section] += _describe_column(row, column)
    found["Money"].append(Fact("Saved", usd(compute_savings(row)), "the first less the other two"))
    return list(found.items())


def compute_savings(row: RequestEvent) -> Any:
    """Return the US dollars saved; None if the model has no price."""
    return (
        None
        if row.would_cost is None or row.billed_cost is None
        else row.would_cost - row.billed_cost - row.spent_cost
    )


def _describe_column(row: RequestEvent, column: LedgerColumn) -> list[Fact]:
    """Describe a column, in words of its own where it has some."""
    if column.name == "token_details":
        return [
            Fact(TOKEN_DETAIL_NAMES.get(name, name), count(number))
            for name, number in sorted(row.token_details.items())
        ]
    if describe := _DESCRIPTIONS.get(column.name):
        value, explanation = describe(row)
        return [Fact(column.label, value, explanation or column.explanation)]
    value = _FORMATTERS[column.kind](getattr(row, column.name))
    return [Fact(column.label, value, column.explanation)]


def _describe_time(row: RequestEvent) -> tuple[str, str]:
    return f"{row.at:%Y-%m-%d %H:%M:%S}.{row.at.microsecond // 1000:03d} UTC", ""


def _describe_model(row: RequestEvent) -> tuple[str, str]:
    return f"{row.model} at {row.upstream}" if row.upstream else row.model or NO_VALUE, ""


def _describe_outcome(row: RequestEvent) -> tuple[str, str]:
    said = OUTCOME_DESCRIPTIONS.get(row.outcome, row.outcome)
    return f"{said}, HTTP {row.status}{f', {row.error_code}' if row.error_code else ''}", ""


def _describe_reason(row: RequestEvent) -> tuple[str, str]:
    unknown = "why a stored answer was not served" if row.reason else ""
    return row.reason or NO_VALUE, REASON_DESCRIPTIONS.get(row.reason, unknown)


def _describe_not_kept(row: RequestEvent) -> tuple[str, str]:
    unknown = "why the answer was not stored"
    return row.not_kept, NOT_KEPT_DESCRIPTIONS.get(row.not_kept, unknown)


def _describe_prompt(row: RequestEvent) -> tuple[str, str]:
    estimated = (
        "counted here: the provider sent no usage" if row.estimated else "as the provider counts"
    )
    return count(row.prompt_tokens), f"the prompt that was billed; {estimated}"


def _describe_bill(row: RequestEvent) -> tuple[str, str]:
    billed = "unknown" if row.bill == "unknown" else usd(row.billed_cost)
    return billed, BILL_DESCRIPTIONS.get(row.bill, "by the provider")


def _format_score(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.4f}"


def _describe_plan(row: RequestEvent) -> tuple[str, str]:
    """Return the plan in words, and an explanation."""
    if row.plan_id is None and row.plan:
        return f"{row.plan}, which does not exist", "as the request named it; nothing was saved"
    return (
        f"{row.plan}, version {row.plan_version}" if row.plan else NO_VALUE,
        "in the version that the request began with",
    )


def _describe_stored_answer(row: RequestEvent) -> tuple[str, str]:
    """Return the stored answer, and how it relates to the request."""
    explanation = "the one that was served, or would have been"
    if row.collapsed:
        explanation = "what the shared call's answer was stored as"
    elif row.entry_id and row.tier == "miss" and not row.would:
        explanation = "what the provider's answer was stored as"
    return row.entry_id or NO_VALUE, explanation


_FORMATTERS: Final[dict[ColumnKind, Callable[[Any], str]]] = {
    "text": lambda value: value or NO_VALUE,
    "count": count,
    "dollars": usd,
    "milliseconds": lambda value: f"{milliseconds(value)} ms",
    "score": _format_score,
    "flag": lambda value: "yes" if value else "no",
}
# Columns that say more than their value: it in words, and an explanation where that varies.
_DESCRIPTIONS: Final[dict[str, Callable[[RequestEvent], tuple[str, str]]]] = {
    "at": _describe_time,
    "plan": _describe_plan,
    "model": _describe_model,
    "stream": lambda row: ("streamed" if row.stream else "in one piece", ""),
    "turns": lambda row: (count(row.turns) if row.turns else NO_VALUE, ""),
    "outcome": _describe_outcome,
    "tier": lambda row: (row.tier, TIER_DESCRIPTIONS.get(row.tier, "")),
    "reason": _describe_reason,
    "entry_id": _describe_stored_answer,
    "failures": lambda row: (", ".join(row.failures) or "nothing", ""),
    "not_kept": _describe_not_kept,
    "wrong": lambda _: ("wrong", ""),
    "stale": lambda _: ("expired", ""),
    "prompt_tokens": _describe_prompt,
    "billed_cost": _describe_bill,
}
