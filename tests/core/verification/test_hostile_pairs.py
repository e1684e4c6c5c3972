"""The hostile pairs without a gateway: what the rules alone decide, before any model is asked."""

import pytest

from evaluation.cache.hostile import Pair, Request, pairs
from evaluation.eligibility import refusal
from proxy.core.verification.equivalence import equivalent


def _is_a_question(request: Request) -> bool:
    return not request.fields and [set(message) for message in request.messages] == [
        {"role", "content"}
    ]


QUESTIONS = [pair for pair in pairs() if _is_a_question(pair.first) and _is_a_question(pair.second)]
# Of the repeats some are left to the learned check.
LEAST_THE_SAME = 0.9


def _asks(pair: Pair) -> tuple[str, str]:
    return str(pair.first.messages[0]["content"]), str(pair.second.messages[0]["content"])


@pytest.mark.parametrize("kind", sorted({pair.kind for pair in QUESTIONS if not pair.same}))
def test_no_two_of_a_kind_say_the_same(kind: str) -> None:
    asked = [_asks(pair) for pair in QUESTIONS if pair.kind == kind and not pair.same]
    for one, other in asked:
        left_alone = refusal(one) is not None and refusal(other) is not None
        assert left_alone or not equivalent(one, other), (one, other)
        assert left_alone or not equivalent(other, one), (other, one)


def test_nine_in_ten_repeats_say_the_same_and_may_be_served() -> None:
    repeats = [_asks(pair) for pair in QUESTIONS if pair.same]
    found = [
        equivalent(one, other) and refusal(one) is None and refusal(other) is None
        for one, other in repeats
    ]
    assert sum(found) >= LEAST_THE_SAME * len(found)
