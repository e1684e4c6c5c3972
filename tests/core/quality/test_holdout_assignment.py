"""Lots: a chat shares its own, people do not, nobody chooses, and the share is kept."""

import time
from collections import Counter
from typing import Any

import pytest

from proxy.core.quality.holdout_assignment import (
    DAY_SECONDS,
    MAX_OPENING_LENGTH,
    REPLICATE_COUNT,
    HoldoutAssignment,
    assign,
)

NOON = 1_770_000_000.0


def lot(opening: str = "How do I pay?", **fields: Any) -> HoldoutAssignment:
    return assign(
        opening,
        **(
            {"share": 0.02, "plan": 1, "key": 1, "user": None, "at": NOON, "pepper": "pepper"}
            | fields
        ),
    )


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5])
def test_so_many_are_held_out(share: float) -> None:
    held = sum(lot(f"question {number}", share=share).is_held_out for number in range(20_000))
    assert held / 20_000 == pytest.approx(share, abs=4 * (share * (1 - share) / 20_000) ** 0.5)


def test_the_group_knows_nothing_of_the_side() -> None:
    lots = [lot(f"question {number}", share=0.5) for number in range(64_000)]
    for side in (True, False):
        groups = Counter(each.replicate for each in lots if each.is_held_out is side)
        assert set(groups) == set(range(REPLICATE_COUNT))
        assert all(350 < number < 650 for number in groups.values())


def test_the_same_chat_has_the_same_lot() -> None:
    assert len({lot(at=NOON + minute) for minute in range(60)}) == 1


@pytest.mark.parametrize(
    "field",
    [{"user": "ann"}, {"key": 2}, {"plan": 2}, {"pepper": "another"}, {"at": NOON + DAY_SECONDS}],
)
def test_another_person_key_plan_instance_or_day_is_another_lot(field: dict[str, Any]) -> None:
    differ = sum(
        lot(f"question {number}", share=0.5) != lot(f"question {number}", share=0.5, **field)
        for number in range(200)
    )
    assert differ > 180


def test_not_all_chats_are_drawn_anew_at_one_moment() -> None:
    names = [f"question {number}" for number in range(500)]
    changed = [
        sum(lot(name, at=NOON) != lot(name, at=NOON + hours * 3600) for name in names)
        for hours in (1, 12, 24)
    ]
    assert changed[0] < 60
    assert 180 < changed[1] < 320
    assert changed[2] > 450


def test_a_greater_share_holds_out_the_same_and_more() -> None:
    for number in range(2_000):
        few, many = lot(f"question {number}", share=0.05), lot(f"question {number}", share=0.2)
        assert few.replicate == many.replicate
        assert many.is_held_out or not few.is_held_out


def test_none_and_the_empty_share() -> None:
    assert not any(lot(f"question {number}", share=0.0).is_held_out for number in range(2_000))


def test_any_text_has_a_lot() -> None:
    assert lot("\ud800\0é", user="\udfff") == lot("\ud800\0é", user="\udfff")
    assert lot("x" * MAX_OPENING_LENGTH + "a") == lot("x" * MAX_OPENING_LENGTH + "b")


def test_drawing_takes_microseconds() -> None:
    begun = time.process_time()
    for number in range(2_000):
        lot("a question of some length " * 80, user=f"user {number}")
    assert (time.process_time() - begun) / 2_000 < 100e-6
