"""What the answers come to: by arm, and between arms."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from demo.figures import percentile
from evaluation.answers.bootstrap import interval
from evaluation.answers.round import Answer


def figures(answers: Sequence[Answer], pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """By arm mean F1 (in all and by source), share of questions whose evidence was sent,
    mean prompt tokens and times to the first token in milliseconds; `differences`: of F1 with 95 %
    intervals, for pairs of arms that answered the same questions."""
    by_arm: dict[str, list[Answer]] = {}
    for answer in answers:
        by_arm.setdefault(answer.arm, []).append(answer)
    return {
        "arms": {name: _arm(given) for name, given in by_arm.items()},
        "differences": {
            f"{one} - {other}": asdict(interval(differences(by_arm[one], by_arm[other])))
            for one, other in pairs
        },
    }


def differences(some: Iterable[Answer], others: Iterable[Answer]) -> dict[str, list[float]]:
    """F1 of the one less that of the other, for each question, by chat.

    Raises KeyError for a question that the others were not asked.
    """
    scores = {(answer.chat, answer.question): answer.f1 for answer in others}
    found: dict[str, list[float]] = {}
    for answer in some:
        found.setdefault(answer.chat, []).append(answer.f1 - scores[answer.chat, answer.question])
    return found


def _arm(answers: Sequence[Answer]) -> dict[str, Any]:
    sources = sorted({answer.source for answer in answers})
    return {
        "f1": round(fmean(answer.f1 for answer in answers), 4),
        "f1_by_source": {
            source: round(fmean(answer.f1 for answer in answers if answer.source == source), 4)
            for source in sources
        },
        "evidence": round(fmean(answer.kept for answer in answers), 4),
        "prompt_tokens": round(fmean(answer.prompt_tokens for answer in answers)),
        "first_token_ms": {"cold": _times(answers, cold=True), "warm": _times(answers, cold=False)},
        "gateway_ms": percentile([answer.overhead_ms for answer in answers], 50),
        "notes": sorted({answer.note for answer in answers if answer.note}),
    }


def _times(answers: Sequence[Answer], *, cold: bool) -> Mapping[str, float | None]:
    found = [answer.first_ms for answer in answers if answer.cold is cold]
    return {"p50": percentile(found, 50), "p90": percentile(found, 90), "questions": len(found)}
