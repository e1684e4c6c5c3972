"""What a provider bills for replayed chats, by what was sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evaluation.provider import Billed, Provider
from evaluation.replay import Replay, times
from evaluation.rules import Rules
from plans.snapshot import CompressionSettings
from proxy.core.compression.break_even import LayoutSizes, compression_pays
from proxy.core.compression.layout import RETRIEVAL_HEADING
from proxy.core.compression.results import CompressionTerms, TurnForecast
from proxy.core.compression.turn_forecast import forecast_turns
from proxy.core.tokens import count_message_tokens, count_prompt_tokens
from proxy.core.types import Message

ENCODING = "o200k_base"
STRATEGIES = ("none", "every_turn", "always", "saves")


@dataclass(frozen=True, slots=True)
class Bill:
    """One chat: `cost` in units of one input token and `kept` (which questions found their evidence
    at the end), by strategy; `cut_at`: the turn, from 0, at which `saves` began to cut, None when
    it never did."""

    source: str
    cost: dict[str, float]
    kept: dict[str, list[bool]]
    cut_at: int | None


def bills(
    one: Replay,
    rules: Rules,
    ratios: Sequence[float | None],
    seen: Mapping[int, int],
    settings: CompressionSettings,
) -> list[Bill]:
    """A chat billed by these rules at each price ratio.

    `seen`: requests by interval of the chats before it, which is all that `saves` knows of how long
    chats last.
    """
    tallied = {name: _billed(prompts, rules) for name, prompts in one.sent.items()}
    expected = forecast_turns(seen)
    return [_bill(one, tallied, replace(rules, read=ratio), expected, settings) for ratio in ratios]


def _bill(
    one: Replay,
    tallied: dict[str, list[Billed]],
    rules: Rules,
    expected: TurnForecast,
    settings: CompressionSettings,
) -> Bill:
    chosen = _saving(one, rules, expected, settings)
    saving = _billed([one.sent[name][turn] for turn, name in enumerate(chosen)], rules)
    cost = {name: _cost(billed, rules) for name, billed in {**tallied, "saves": saving}.items()}
    cut_at = chosen.index("always") if "always" in chosen else None
    return Bill(one.source, cost, {**one.kept, "saves": one.kept[chosen[-1]]}, cut_at)


def _billed(prompts: Sequence[list[Message]], rules: Rules) -> list[Billed]:
    provider = Provider(rules, ENCODING)
    return [
        provider.send(prompt, at) for prompt, at in zip(prompts, times(len(prompts)), strict=True)
    ]


def _cost(billed: Sequence[Billed], rules: Rules) -> float:
    read, write = (1.0, 1.0) if rules.read is None else (rules.read, rules.write)
    return sum(prompt.at(read, write).cost for prompt in billed)


def _saving(
    one: Replay, rules: Rules, expected: TurnForecast, settings: CompressionSettings
) -> list[str]:
    """Whether `saves` sends each turn whole or cut."""
    asked = [count_prompt_tokens(prompt, ENCODING) for prompt in one.sent["none"]]
    sizes = LayoutSizes.for_settings(settings)
    budget = settings.max_input_tokens
    chosen: list[str] = []
    recalled = searched = 0
    before: float | None = None
    for turn, at in enumerate(times(len(asked)), 1):
        terms = CompressionTerms(
            cached_price_ratio=1.0 if rules.read is None else rules.read,
            cache_write_ratio=rules.write,
            min_cacheable_tokens=rules.minimum,
            turn_forecast=expected,
            prefix_is_warm=before is not None and at - before <= rules.expiry,
            last_sent=None if not chosen else "cut" if chosen[-1] == "always" else "whole",
            retrieved_tokens=recalled,
            searched_tokens=searched,
        )
        if asked[turn - 1] > budget:
            recalled += _recalled(one.sent["always"][turn - 1])
            searched += asked[turn - 1]
        chosen.append(
            "always"
            if asked[turn - 1] > budget and compression_pays(asked[:turn], sizes, terms)
            else "none"
        )
        before = at
    return chosen


def _recalled(messages: Sequence[Message]) -> int:
    """Tokens of what was recalled for the question."""
    return sum(
        count_message_tokens(message, ENCODING)
        for message in messages
        if str(message["content"]).startswith(RETRIEVAL_HEADING)
    )
