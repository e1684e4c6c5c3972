"""The engine that docs/engines.md builds works as it says there."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gateway_project.running_capabilities import RunningCapabilities
from plans import validation
from proxy.core.compression import algorithm_registry
from proxy.core.compression.algorithm_registry import ENGINES, Engine
from proxy.core.compression.compress import compress
from proxy.core.compression.preview import build_preview
from proxy.core.tokens import count_prompt_tokens
from tests.core.compression.test_preview import assert_shown_is_done
from tests.support.texts.chats import MODEL, plan, support_history, tool_turn

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "engines.md"
QUESTION = {"role": "user", "content": "Which refund was promised for the parcel from Leeds?"}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The guide's file and row, in force for a test."""
    source, row = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    module = ModuleType("proxy.core.compression.algorithms.rare_words")
    exec(compile(source, "rare_words.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    rows: dict[str, Any] = eval("{" + row + "}", {"Engine": Engine})
    for name, made in rows.items():
        monkeypatch.setitem(ENGINES, name, made)
    return ENGINES["rare_words"]


def chat() -> list[dict[str, Any]]:
    messages = [*support_history(60)[:-1], QUESTION]
    messages[30:30] = tool_turn(["c1"], "A parcel from Leeds with a promised refund of 349.00.")
    return messages


@pytest.mark.parametrize("focus", ["question", "none"])
def test_the_engine_of_the_guide_cuts_a_chat(engine: Engine, focus: Any) -> None:
    messages, half = chat(), plan("rare_words", 1500, focus=focus)
    cut = compress(messages, half, model=MODEL)
    assert (cut.engine, cut.note) == ("rare_words", "")
    assert cut.messages is not None
    assert cut.after == count_prompt_tokens(cut.messages, cut.encoding) <= 1500
    assert cut.messages[-1] is QUESTION
    assert_shown_is_done(build_preview(messages, half, model=MODEL), messages, of_shape=True)
    assert ("refund of 349.00" in str(cut.messages)) or focus == "none"


def test_a_question_that_shares_no_word_recalls_nothing(engine: Engine) -> None:
    messages = [*chat()[:-1], {"role": "user", "content": "Zugzwang?"}]
    seen = build_preview(messages, plan("rare_words", 1500), model=MODEL)
    assert "recalled" not in {shown.place for shown in seen.spans}


def test_its_row_is_all_that_a_plan_needs(engine: Engine) -> None:
    listed = {found.name: found for found in RunningCapabilities().list_compression_engines()}
    assert (listed["rare_words"].title, listed["rare_words"].focus) == (
        "Rare words",
        ("question", "none"),
    )
    body = {"plan_name": "x", "compression": {"engine": "rare_words"}}
    half = validation.validate_plan(body, capabilities=RunningCapabilities()).compression
    assert half is not None
    assert half.focus == "question"


def test_the_guide_names_what_there_is(engine: Engine) -> None:
    text = GUIDE.read_text()
    assert set(Engine.__dataclass_fields__) <= set(re.findall(r"`(\w+)`", text))
    assert algorithm_registry.load_rank("rare_words", focused=True).__name__ == "focus"
