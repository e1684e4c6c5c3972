"""What compression may and may not do to a chat: single rules."""

from itertools import pairwise

import pytest

from proxy.core.compression import algorithm_registry
from proxy.core.compression import compress as entry
from proxy.core.compression.algorithm_registry import ENGINES, Engine
from proxy.core.compression.compress import check_within_budget, compress
from proxy.core.text.sentences import split_pieces
from proxy.core.tokens import count_prompt_tokens
from tests.support.texts.chats import MODEL, plan, sent, support_history, talk, tool_turn
from tests.support.texts.roles import anthropic_refuses, openai_refuses, template_refuses
from tests.support.texts.transcripts import is_transcript


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_real_chats_come_within_the_budget_and_use_most_of_it(engine: str) -> None:
    messages = support_history(60)
    cut = compress(messages, plan(engine, 600, focus="none"), model=MODEL)
    assert (cut.engine, cut.note) == (engine, "")
    assert cut.before > 1000
    assert 510 < cut.after <= 600
    assert cut.messages is not None
    assert cut.messages[0] is messages[0]
    assert cut.messages[-1] is messages[-1]


def test_a_chat_within_the_budget_is_left_alone() -> None:
    messages = support_history(2)
    exact = count_prompt_tokens(messages, "o200k_base")
    assert compress(messages, plan(budget=exact), model=MODEL).messages is None
    assert compress(messages, plan(budget=exact - 1), model=MODEL).messages is not None


def test_protected_messages_alone_may_exceed_the_budget() -> None:
    messages = support_history(5)
    messages[-1] = {"role": "user", "content": "word " * 500}
    cut = compress(messages, plan(budget=100), model=MODEL)
    assert cut.messages == [messages[0], messages[-1]]
    assert cut.note == "protected-exceeds-budget"
    nothing_else = compress(cut.messages, plan(budget=100), model=MODEL)
    assert (nothing_else.messages, nothing_else.note) == (None, "protected-exceeds-budget")


def test_the_current_turns_tool_calls_stay_with_their_results() -> None:
    turn = tool_turn(["a", "b"], "the result " * 30)
    messages = [*support_history(20), *turn]
    cut = compress(messages, plan(budget=300), model=MODEL)
    assert cut.messages is not None
    assert all(
        kept is original for kept, original in zip(cut.messages[-4:], messages[-4:], strict=True)
    )


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_an_older_tool_turn_is_kept_or_dropped_whole(engine: str) -> None:
    history = support_history(12)
    messages = [*history[:10], *tool_turn(["a", "b"], "order 4711 was sent"), *history[10:]]
    for budget in range(60, 600, 40):
        assert not openai_refuses(
            sent(compress(messages, plan(engine, budget), model=MODEL), messages)
        )


def test_a_result_that_comes_after_other_messages_keeps_them_with_its_call() -> None:
    late = [
        {"role": "user", "content": "Still there? " * 10},
        {"role": "tool", "tool_call_id": "b", "content": "done"},
    ]
    messages = [
        *support_history(8)[:-1],
        *tool_turn(["a", "b"], "x")[:-1],
        *late,
        {"role": "user", "content": "And now?"},
    ]
    for budget in range(30, 400, 30):
        after = sent(compress(messages, plan("trim", budget), model=MODEL), messages)
        assert sum(message in after for message in messages[-5:-1]) in (0, 4)


def test_cache_control_protects_its_message() -> None:
    messages = support_history(10)
    messages[3] = {
        "role": "user",
        "content": [
            {"type": "text", "text": "Long guide. " * 20, "cache_control": {"type": "ephemeral"}}
        ],
    }
    cut = compress(messages, plan(budget=150), model=MODEL)
    assert cut.messages is not None
    assert any(message is messages[3] for message in cut.messages)


def test_code_tables_and_lists_are_never_cut_in_the_middle() -> None:
    code = "```python\nfor refund in refunds:\n    pay(refund)\n\n# done. Really.\n```"
    table = "| plan | price |\n| --- | --- |\n| basic | 9.99 |\n| plus | 14.99 |"
    steps = "1. Open the refund page.\n2. Press pay.\n3. Wait."
    answer = (
        f"Here is the code. It pays refunds.\n{code}\nThe prices follow.\n\n{table}\n\n"
        f"And the steps.\n\n{steps}"
    )
    messages = [
        {"role": "user", "content": "How?"},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": "Thanks"},
    ]
    kept_whole = set()
    for budget in range(20, 140, 4):
        text = "\n".join(
            m["content"]
            for m in sent(compress(messages, plan(budget=budget), model=MODEL), messages)[:-1]
        )
        for block in (code, table, steps):
            assert block in text or not any(
                line in text for line in block.splitlines() if len(line) > 9
            )
            kept_whole.update([block] if block in text else [])
    assert len(kept_whole) == 3


def test_a_plan_keeps_as_many_sentences_as_it_promises_of_what_is_shortened() -> None:
    messages = [
        {"role": "user", "content": "The parcel of Ann is late. " * 30},
        *support_history(9)[1:-1],
        {"role": "user", "content": "Xyzzy?"},
    ]
    for least in (1, 2, 7):
        cut = compress(messages, plan(budget=300, min_sentences=least), model=MODEL)
        recalled = next(
            message["content"] for message in sent(cut, messages) if is_transcript(message)
        )
        assert (
            len(
                [
                    piece
                    for line in recalled.splitlines()
                    for piece in split_pieces(line.partition(": ")[2])
                ]
            )
            >= least
        )


def test_trim_keeps_the_newest_and_the_first_turns() -> None:
    messages = [{"role": "user", "content": f"message {n} of a chat"} for n in range(40)]
    cut = compress(messages, plan("trim", 100), model=MODEL)
    assert cut.messages is not None
    numbers = [int(message["content"].split()[1]) for message in cut.messages]
    gaps = [right - left for left, right in pairwise(numbers)]
    assert numbers[0] == 0
    assert numbers[-1] == 39
    assert sorted(gaps)[-2] == 1


def test_trim_begins_with_the_user_and_keeps_turns_without_a_stand_in() -> None:
    chat = talk(5, 40)
    for budget in range(60, 900, 40):
        after = sent(compress(chat, plan("trim", budget), model=MODEL), chat)
        assert not template_refuses(after)
        assert not anthropic_refuses(after)
        assert all(any(message is original for original in chat) for message in after)


def test_an_unknown_model_is_counted_with_o200k() -> None:
    assert compress(support_history(3), plan(), model="acme/llm-7").encoding == "o200k_base"


# ---------------------------------------------------------------- when an engine cannot


def raising(_history: object) -> list[float]:
    raise RuntimeError("secret prompt")


def short(_history: object) -> list[float]:
    return [1.0]


@pytest.mark.parametrize("function", ["raising", "short", "missing"])
def test_a_failing_engine_is_replaced_by_trim_without_a_word_of_the_prompt(
    function: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(
        algorithm_registry.ENGINES,
        "third",
        Engine(title="Third", description="A third party's.", rank=f"{__name__}:{function}"),
    )
    cut = compress(support_history(20), plan("third"), model=MODEL)
    assert (cut.engine, cut.note) == ("trim", "engine-failed")
    assert cut.after <= 300
    assert "secret" not in caplog.text
    assert "third failed" in caplog.text


@pytest.mark.parametrize("change", [{"language": "klingon"}, {"engine": "gone"}])
def test_an_unknown_language_or_engine_falls_back_to_trim(change: dict[str, str]) -> None:
    cut = compress(support_history(20), plan(**change), model=MODEL)  # type: ignore[arg-type]
    assert (cut.engine, cut.note) == ("trim", "engine-failed")


def test_a_history_too_long_for_the_engine_is_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "MAX_BYTES", 100)
    cut = compress(support_history(20), plan(), model=MODEL)
    assert (cut.engine, cut.note) == ("trim", "too-long-for-text_rank")


# ---------------------------------------------------------------- the quick look


def test_a_short_chat_is_seen_to_fit_at_once() -> None:
    messages = support_history(1)
    assert check_within_budget(messages, plan(budget=4096), model=MODEL) == compress(
        messages, plan(budget=4096), model=MODEL
    )


def test_a_chat_above_the_budget_or_large_needs_a_closer_look() -> None:
    assert check_within_budget(support_history(1), plan(budget=10), model=MODEL) is None
    assert check_within_budget(support_history(100), plan(budget=1_000_000), model=MODEL) is None
