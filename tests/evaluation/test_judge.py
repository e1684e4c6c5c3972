"""The default's decision in process, as `make eval-cache` asks for it, with the real models."""

from pathlib import Path

import pytest

from evaluation.cache.judge import Judge
from proxy.core.types import Message


def ask(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("asked", "stored", "served"),
    [
        ("How do I reset my password?", "how can i reset the password", True),
        ("How do I reset my password?", "How do I change my address?", False),
        ("How do I enable 2FA?", "How do I disable 2FA?", False),
        ("Wie bezahle ich?", "Wie kann ich bezahlen?", False),
    ],
)
async def test_the_judge_decides_as_a_plan_does(
    models: Path, asked: str, stored: str, served: bool
) -> None:
    judge = Judge(models)
    assert await judge.serves(ask(asked), ask(stored)) == served
