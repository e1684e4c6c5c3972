"""The parts of `make eval-budget` that need no gateway."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import httpx

from evaluation.budget.figures import draw, figures
from evaluation.budget.provider import answer, providing
from evaluation.budget.stream import Seen, Served, questions
from proxy.core.quality.answer_comparison import compare_answer_texts


def budget(tier: str, **changes: Any) -> dict[str, Any]:
    found = {
        "semantic_tier": tier,
        "samples": 10,
        "wrong_rate": 0.1,
        "lower": 0.02,
        "upper": 0.3,
        "vouched": False,
        "detail": "d",
    }
    return found | changes


def test_wordings_of_one_truth_agree_and_another_truth_is_another_answer() -> None:
    one, other = answer("bank/card_lost", 0), answer("bank/card_lost 7", 1)
    assert len({answer("bank/card_lost", turn) for turn in range(6)}) == 3
    assert compare_answer_texts(one, answer("bank/card_lost", 2), 0.9) == "right"
    assert compare_answer_texts(one, other, 0.9) == "wrong"


def test_the_provider_says_what_its_answer_depends_on() -> None:
    async def ask(address: str) -> Any:
        async with httpx.AsyncClient() as client:
            body = {"model": "m", "messages": [], "metadata": {"truth": "bank/card_lost 7"}}
            return (await client.post(f"{address}/chat/completions", json=body)).json()

    with providing() as (address, provider):
        reply = asyncio.run(ask(address))
    assert reply["system_fingerprint"] == "bank/card_lost 7"
    assert reply["choices"][0]["message"]["content"] == answer("bank/card_lost 7", 0)
    assert provider.requests == 1


def test_the_second_half_turns_and_the_first_does_not(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "faq_stream.jsonl.gz", "wt") as file:
        for number in range(400):
            print(json.dumps({"query": f"q{number}", "intent": "bank/a"}), file=file)
    asked = questions(tmp_path, hostile=0.3, count=None)
    assert {question.truth for question in asked[:200]} == {"bank/a"}
    turned = [question.truth for question in asked[200:] if question.truth != "bank/a"]
    assert 40 <= len(turned) == len(set(turned)) <= 80
    assert asked == questions(tmp_path, hostile=0.3, count=None)


def test_hits_are_counted_before_between_and_after(tmp_path: Path) -> None:
    tiers = ["semantic"] * 100 + ["semantic"] * 20 + ["miss"] * 60 + ["exact"] * 20
    served = [
        Served(tier, wrong=100 <= place < 120 and place % 2 == 0, at=place)
        for place, tier in enumerate(tiers)
    ]
    seen = [Seen(90, budget("on", vouched=True)), Seen(110, budget("on")), Seen(130, budget("off"))]
    found = figures(served, seen, limit=0.05)
    assert (
        found["turned_hostile_at"],
        found["vouched_at"],
        found["off_seen_at"],
        found["last_semantic_hit_at"],
    ) == (100, 90, 130, 120)
    assert found["semantic_hits"] == {"before": 100, "hostile": 20, "after": 0}
    assert found["wrong_hits"] == {"before": 0, "hostile": 10, "after": 0}
    assert found["exact_hits_after"] == 20
    for name in ("plot.png", "plot.svg"):
        draw(served, seen, found, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 10_000


def test_a_tier_that_stays_on_is_said_to() -> None:
    found = figures(
        [Served("semantic", wrong=False, at=0.0)] * 10, [Seen(10, budget("on"))], limit=0.05
    )
    assert (found["off_seen_at"], found["reason"]) == (None, None)
    assert found["semantic_hits"] == {"before": 5, "hostile": 5, "after": 0}
