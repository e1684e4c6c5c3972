"""A provider's cache, simulated: what is billed for prompts that begin alike."""

from dataclasses import replace

import pytest

from evaluation.provider import Provider
from evaluation.rules import PUBLISHED
from proxy.core.tokens import count_prompt_tokens
from proxy.core.types import Message

ENCODING = "o200k_base"
OPENAI = PUBLISHED["openai"]


def said(words: int, role: str = "user", word: str = "tea") -> Message:
    return {"role": role, "content": " ".join([word] * words)}


def prompt(*words: int) -> list[Message]:
    """Messages of so many words, the first two of 600 each."""
    return [said(600), said(600, "assistant"), *map(said, words)]


def test_the_first_prompt_is_billed_whole() -> None:
    billed = Provider(OPENAI).send(prompt(10), 0)
    assert billed == Provider(replace(OPENAI, read=None)).send(prompt(10), 0)
    assert billed.cost == billed.fresh == count_prompt_tokens(prompt(10), ENCODING)


def test_a_longer_prompt_reads_what_it_begins_with_in_steps() -> None:
    provider = Provider(OPENAI)
    provider.send(prompt(), 0)
    billed = provider.send(prompt(300), 60)
    assert billed.cached == 1152  # 1,208 tokens in common, nine steps of 128
    assert billed.fresh + billed.cached == count_prompt_tokens(prompt(300), ENCODING)
    assert billed.cost == pytest.approx(billed.fresh + 0.1 * billed.cached)


def test_the_prefix_may_end_within_a_message() -> None:
    provider = Provider(OPENAI)
    provider.send([said(2000)], 0)
    changed = said(1500)
    changed["content"] += " coffee"
    assert provider.send([changed], 60).cached == 1408  # 1,504 tokens in common


def test_below_the_minimum_nothing_is_read() -> None:
    provider = Provider(OPENAI)
    provider.send([said(1000)], 0)
    assert provider.send([said(1000)], 1).cached == 0
    small = Provider(PUBLISHED["deepseek"])
    small.send([said(1000)], 0)
    assert small.send([said(1000)], 1).cached == 960


def test_another_beginning_reads_nothing() -> None:
    provider = Provider(OPENAI)
    provider.send(prompt(), 0)
    assert provider.send([said(1, word="coffee"), *prompt()], 1).cached == 0


def test_a_prefix_is_gone_when_nobody_used_it_and_stays_when_somebody_did() -> None:
    rested, used = Provider(OPENAI), Provider(OPENAI)
    rested.send(prompt(), 0)
    for at in (0, 250, 500):
        used.send(prompt(), at)
    assert rested.send(prompt(), 700).cached == 0
    assert used.send(prompt(), 700).cached == 1152


def test_writing_costs_more_where_breakpoints_are_kept() -> None:
    provider = Provider(PUBLISHED["anthropic"])
    first = provider.send(prompt(), 0)
    assert first.cost == pytest.approx(first.fresh + 1.25 * first.written)
    second = provider.send(prompt(50), 60)
    assert second.cached == first.written
    assert second.written > 50
    assert Provider(PUBLISHED["anthropic-hour"]).send(prompt(), 0).cost > first.cost


def test_without_a_breakpoint_where_two_prompts_part_nothing_is_read() -> None:
    """The reason why a cut chat needs a breakpoint of its own after its recent turns."""
    for rules in (PUBLISHED["anthropic"], PUBLISHED["openai-5.6"]):
        bare, marked = Provider(rules), Provider(rules)
        for provider, marks in ((bare, ()), (marked, (2,))):
            provider.send([*prompt(), said(9, word="one")], 0, marks=marks)
        assert bare.send([*prompt(), said(9, word="two")], 60).cached == 0
        assert marked.send([*prompt(), said(9, word="two")], 60, marks=(2,)).cached > 1200


def test_a_breakpoint_too_far_back_is_not_found() -> None:
    provider = Provider(PUBLISHED["anthropic"])
    provider.send(prompt(), 0)
    assert provider.send(prompt(*[1] * 20), 60).cached > 0
    provider = Provider(PUBLISHED["anthropic"])
    provider.send(prompt(), 0)
    assert provider.send(prompt(*[1] * 21), 60).cached == 0
