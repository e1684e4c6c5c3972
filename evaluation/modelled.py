"""`python -m evaluation.modelled --data <folder>`: the modelled saving of compression beside
what a provider really bills.

Each long chat is sent twice, turn by turn, to a provider that keeps prefixes
(`evaluation.provider`): cut in frozen blocks, and whole. What the gateway says the cut turns would
have cost is held against the second bill; so is what they would cost at list price, which is what a
gateway says that forgets the provider's discount. Prompts alone. Prints a Markdown table. Takes
minutes, on all cores.
"""

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

from evaluation.bill import ENCODING
from evaluation.chats import Chat, load
from evaluation.provider import Billed, Provider
from evaluation.replay import MODEL, times
from evaluation.rules import PUBLISHED
from plans.pricing import Price
from plans.snapshot import CompressionSettings
from proxy.core.compression.compress import compress
from proxy.core.compression.memo import Memo
from proxy.core.compression.results import CompressionResult
from proxy.core.config import ProviderEndpoint, Route
from proxy.core.formats.chat_completions import ChatRequest
from proxy.core.formats.usage import Usage
from proxy.pipeline.accounting import savings
from proxy.pipeline.call import Call
from proxy.pipeline.clients import NullClient

RATIOS = (0.1, 0.25, 0.5)
BUDGET = 4096
MEMORY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Said:
    """Of one chat, in prices of an input token: `billed` for it as cut, `whole` for it whole,
    and what it `would` have cost by the model and at `listed` prices."""

    billed: float
    whole: float
    would: float
    listed: float


def said(
    chat: Chat, ratio: float, *, settings: CompressionSettings, gap: float | None = None
) -> Said:
    """What is said of a chat where a cached token costs `ratio` of a fresh one.

    `gap`: seconds between its turns; None: a minute, and once half an hour.
    """
    requests, memory = chat.requests(), Memo(MEMORY)
    cut, whole = (Provider(PUBLISHED["openai"], ENCODING) for _ in range(2))
    upstream = ProviderEndpoint(id=1, name="mock", base_url="http://mock/v1", provider="openai")
    price = Price(
        input=Decimal(1_000_000), output=Decimal(0), cached_input=Decimal(str(ratio)) * 1_000_000
    )
    route = Route(id=1, name="mock", version=1, upstream=upstream, model=MODEL, price=price)
    sums = [0.0, 0.0, 0.0, 0.0]
    for messages, at in zip(requests, _times(len(requests), gap), strict=True):
        found = compress(messages, settings, model=MODEL, memory=memory)
        asked, sent = (
            whole.send(messages, at).at(ratio, 1.0),
            cut.send(found.messages or messages, at).at(ratio, 1.0),
        )
        call = Call(
            request_id="",
            at=at,
            started_at=0.0,
            client=NullClient(),
            request=ChatRequest(body={"messages": messages}, model=MODEL, messages=messages),
            route=route,
            compression=_as_cut(found, asked, sent),
            attempts=1,
            status=200,
            usage=Usage(prompt_tokens=_tokens(sent), cached_tokens=sent.cached),
        )
        would = savings(call).baseline_cost
        assert would is not None  # noqa: S101 -- the route has a price
        taken = _tokens(asked) - _tokens(sent)
        for index, figure in enumerate((sent.cost, asked.cost, float(would), sent.cost + taken)):
            sums[index] += figure
    return Said(*sums)


def _as_cut(found: CompressionResult, asked: Billed, sent: Billed) -> CompressionResult:
    """The cut in the provider's own count of tokens."""
    return CompressionResult(
        messages=found.messages,
        before=_tokens(asked),
        after=_tokens(sent),
        engine=found.engine,
        encoding=found.encoding,
    )


def _tokens(billed: Billed) -> int:
    return billed.fresh + billed.cached + billed.written


def _times(turns: int, gap: float | None) -> list[float]:
    return times(turns) if gap is None else [turn * gap for turn in range(turns)]


def render(figures: Mapping[float, Sequence[Said]]) -> str:
    """Shares of the spend that were saved: really, by the model, at list price;
    and the model's error in the spend without a plan."""
    lines = [
        (
            "| cached price | really saved | modelled | at list price | would have cost, "
            "modelled / really |"
        ),
        "| --- " * 5 + "|",
    ]
    for ratio, found in figures.items():
        billed, whole, would, listed = (
            sum(getattr(one, name) for one in found)
            for name in ("billed", "whole", "would", "listed")
        )
        shares = [f"{1 - billed / before:.1%}" for before in (whole, would, listed)]
        lines.append(f"| {ratio} | {' | '.join(shares)} | {would / whole:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--gap", type=float, help="seconds between turns; default: a minute, and once half an hour"
    )
    options = parser.parse_args()
    settings, chats, begun = (
        CompressionSettings(engine="text_rank", max_input_tokens=BUDGET),
        load(options.data),
        time.monotonic(),
    )
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = {
            ratio: list(
                pool.map(partial(said, ratio=ratio, settings=settings, gap=options.gap), chats)
            )
            for ratio in RATIOS
        }
    print(render(found))
    print(f"\n{len(chats)} chats, {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
