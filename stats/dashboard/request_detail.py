"""A request's decision record for people: what each column of its row means, in words."""

from dataclasses import dataclass
from typing import Any, Final

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
    "no-plan": "the request named no plan",
    "no-scope": "the plan is scoped by end user, and none was named",
    "no-store": "the client wanted it neither read nor kept",
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
    return [
        ("Asked", _describe_request(row)),
        ("Decided", _describe_decision(row)),
        ("Tokens", _describe_tokens(row)),
        ("Money", _describe_cost(row)),
        ("Time", _describe_times(row)),
    ]


def compute_savings(row: RequestEvent) -> Any:
    """Return the US dollars saved; None if the model has no price."""
    return (
        None
        if row.would_cost is None or row.billed_cost is None
        else row.would_cost - row.billed_cost - row.spent_cost
    )


def _describe_request(row: RequestEvent) -> list[Fact]:
    return [
        Fact("Made", f"{row.at:%Y-%m-%d %H:%M:%S}.{row.at.microsecond // 1000:03d} UTC"),
        Fact("Tenant", row.tenant or NO_VALUE),
        Fact("Key", row.key or NO_VALUE),
        Fact("Plan", *_describe_plan(row)),
        Fact("Route", row.route or NO_VALUE, "the model name that the client asked for"),
        Fact(
            "Model",
            f"{row.model} at {row.upstream}" if row.upstream else row.model or NO_VALUE,
            "who would answer it, and is paid",
        ),
        Fact("Shape", "streamed" if row.stream else "in one piece"),
        Fact(
            "Turn",
            count(row.turns) if row.turns else NO_VALUE,
            "which of its chat's, counted by the user's; – where it was not read",
        ),
    ]


def _describe_decision(row: RequestEvent) -> list[Fact]:
    outcome = (
        f"{OUTCOME_DESCRIPTIONS.get(row.outcome, row.outcome)}, HTTP "
        f"{row.status}{f', {row.error_code}' if row.error_code else ''}"
    )
    found = [
        Fact("Outcome", outcome),
        Fact("Tier", row.tier, TIER_DESCRIPTIONS.get(row.tier, "")),
        Fact(
            "Reason",
            row.reason or NO_VALUE,
            REASON_DESCRIPTIONS.get(
                row.reason, "why a stored answer was not served" if row.reason else ""
            ),
        ),
        Fact(
            "Similarity", _format_score(row.similarity), "the cosine of the nearest stored question"
        ),
        Fact(
            "Score",
            _format_score(row.score),
            "the verifier's; the plan's threshold is compared with it under match: verified",
        ),
        Fact("Stored answer", row.entry_id or NO_VALUE, _describe_stored_answer(row)),
        Fact(
            "Went on without",
            ", ".join(row.failures) or "nothing",
            "tools that did not answer in time",
        ),
    ]
    if row.not_kept:
        found.append(
            Fact(
                "Not kept",
                row.not_kept,
                NOT_KEPT_DESCRIPTIONS.get(row.not_kept, "why the answer was not stored"),
            )
        )
    if row.upstream_request_id:
        found.append(
            Fact(
                "Provider's id", row.upstream_request_id, "of this request: its support asks for it"
            )
        )
    if row.would:
        found.append(Fact("Would have been", row.would, "the tier that would have answered"))
    if row.sample:
        found.append(Fact("Sample", row.sample, "the stored answer, compared with the provider's"))
    if row.wrong:
        found.append(Fact("Reported", "wrong", "somebody said so of the answer"))
    if row.stale:
        found.append(Fact("Age", "expired", "served all the same, as the plan allows"))
    if row.engine:
        found.append(Fact("Compressed by", row.engine))
    return [*found, Fact("Note", row.note)] if row.note else found


def _describe_tokens(row: RequestEvent) -> list[Fact]:
    estimated = (
        "counted here: the provider sent no usage" if row.estimated else "as the provider counts"
    )
    parts = [
        Fact(TOKEN_DETAIL_NAMES.get(name, name), count(number))
        for name, number in sorted(row.token_details.items())
    ]
    return [
        Fact("Asked", count(row.asked_tokens), "the prompt as the client sent it"),
        Fact("Sent", count(row.prompt_tokens), f"the prompt that was billed; {estimated}"),
        Fact(
            "Read from prefix cache",
            count(row.cached_tokens),
            "of those sent, at the provider's lower price",
        ),
        Fact("Written to prefix cache", count(row.written_tokens)),
        Fact(
            "Completion billed",
            count(row.completion_tokens),
            "what the model thought and nobody saw included",
        ),
        *parts,
        Fact("Completion served", count(row.served_tokens), "what the client received"),
        Fact("Saved", count(row.tokens_saved), "prompt and completion that nobody billed"),
    ]


def _describe_cost(row: RequestEvent) -> list[Fact]:
    return [
        Fact(
            "Would have cost", usd(row.would_cost), "without a plan; – where the model has no price"
        ),
        Fact(
            "Billed",
            "unknown" if row.bill == "unknown" else usd(row.billed_cost),
            BILL_DESCRIPTIONS.get(row.bill, "by the provider"),
        ),
        Fact("Spent on saving", usd(row.spent_cost), "embedding, sampling, judging"),
        Fact("Saved", usd(compute_savings(row)), "the first less the other two"),
    ]


def _describe_times(row: RequestEvent) -> list[Fact]:
    return [
        Fact("Until the last byte", f"{milliseconds(row.duration_ms)} ms"),
        Fact("Of it the provider's", f"{milliseconds(row.upstream_ms)} ms"),
        Fact("Of it the gateway's", f"{milliseconds(row.overhead_ms)} ms"),
        Fact(
            "Calls to the provider",
            count(row.attempts),
            "more than one: it was tried again, or elsewhere",
        ),
    ]


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


def _describe_stored_answer(row: RequestEvent) -> str:
    """Explain how the stored answer relates to the request."""
    if row.collapsed:
        return "what the shared call's answer was stored as"
    if row.entry_id and row.tier == "miss" and not row.would:
        return "what the provider's answer was stored as"
    return "the one that was served, or would have been"
