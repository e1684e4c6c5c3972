"""Do two answers say the same? Judged with the real embedder on pairs labelled by hand."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from proxy.core.quality.answer_comparison import compare_answer_texts, extract_answer_text
from proxy.engines.embedders.onnx import OnnxEmbedder

PAIRS = Path(__file__).resolve().parents[3] / "evaluation" / "data" / "same_answers.jsonl"


async def test_no_pair_is_judged_the_other_way(models: Path) -> None:
    embedder = OnnxEmbedder(models)
    found: Counter[tuple[bool, str]] = Counter()
    try:
        for line in PAIRS.read_text().splitlines():
            pair = json.loads(line)
            one, other = await embedder.embed(pair["a"]), await embedder.embed(pair["b"])
            found[pair["same"], compare_answer_texts(pair["a"], pair["b"], float(one @ other))] += 1
    finally:
        await embedder.close()
    assert found[True, "wrong"] == found[False, "right"] == 0
    assert found[True, "right"] >= 20
    assert found[False, "wrong"] >= 19


@pytest.mark.parametrize(
    ("one", "other", "similarity", "verdict"),
    [
        ("It takes 3 days.", "It takes 3 days.", 0.0, "right"),  # the very same needs no embedding
        ("It takes 3 days.", "it takes three days", 0.99, "right"),
        ("It takes 3 days.", "It takes 5 days.", 0.99, "wrong"),
        # More is said by one, none denies the other.
        ("It takes 3 to 5 days.", "It takes 3 days.", 0.95, "right"),
        # Items of a list are no numbers.
        ("1. Log in.\n2. Pay by card.", "Log in, then pay by card.", 0.9, "right"),
        ("Yes, it is.", "No, it is not.", 0.95, "wrong"),
        ("Pay by card.", "The moon is far away.", 0.1, "wrong"),
        ("Pay by card.", "You may pay at the counter.", 0.7, "unclear"),
        ("The shop opens on Monday.", "The shop opens on Friday.", 0.95, "unclear"),
        (
            "You can switch it on in the menu.",
            "You can switch it off in the menu.",
            0.95,
            "unclear",
        ),
    ],
)
def test_what_decides(one: str, other: str, similarity: float, verdict: str) -> None:
    assert (
        compare_answer_texts(one, other, similarity)
        == compare_answer_texts(other, one, similarity)
        == verdict
    )


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ({"choices": [{"message": {"content": "Hi."}}]}, "Hi."),
        ({"choices": [{"message": {"content": None}}]}, ""),
        ({"choices": [{"message": None}]}, ""),
        ({"choices": [None]}, ""),
        ({"choices": []}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_the_text_of_a_completion(completion: dict[str, Any] | None, text: str) -> None:
    assert extract_answer_text(completion) == text
