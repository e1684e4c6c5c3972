"""Exact costs from token counts and prices, in Decimal. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final

MILLION = Decimal(1_000_000)
# Rates besides a price's own fields, in US dollars per million tokens except for the last two.
EXTRA_RATES: Final = {
    "cache_write_1h": "tokens written into the provider's prefix cache for an hour",
    "input_audio": "audio in the prompt",
    "cached_audio": "audio read from the prefix cache",
    "output_audio": "audio in the answer",
    "input_image": "images in the prompt",
    "cached_image": "images read from the prefix cache",
    "output_image": "images in the answer",
    "input_video": "video in the prompt",
    "output_video": "video in the answer",
    "output_reasoning": "reasoning, where it does not cost what other output costs",
    "output_citation": "citations, where they do not cost what other output costs",
    "request": "US dollars for each request",
    "search": "US dollars for each search on the web",
}
BASE_RATE_NAMES: Final = ("input", "output", "cached_input", "cache_write")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCondition:
    """When rates replace the ordinary ones: from a date, at hours of the day, in a service tier.

    Dates and hours are UTC; the tier is the one the provider's answer names. All given must hold.
    """

    since: date | None = None
    daily_hours: tuple[time, time] | None = None
    service_tier: str = ""

    def is_met(self, at: datetime | None, service_tier: str) -> bool:
        """Whether the condition holds at that moment; for None, dates and hours do not hold."""
        if self.service_tier and self.service_tier != service_tier:
            return False
        if self.since is None and self.daily_hours is None:
            return True
        return (
            at is not None
            and (self.since is None or at.date() >= self.since)
            and self._is_within_daily_hours(at.time())
        )

    def _is_within_daily_hours(self, now: time) -> bool:
        if self.daily_hours is None:
            return True
        start, end = self.daily_hours
        return start <= now < end if start <= end else now >= start or now < end


ORDINARY_CONDITION: Final = RateCondition()


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTerm:
    """Rates by name for prompts of more than `above_tokens` tokens, when the condition holds."""

    rates: tuple[tuple[str, Decimal], ...]
    above_tokens: int = 0
    condition: RateCondition = ORDINARY_CONDITION


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDetails:
    """Those of a call's tokens that can have their own rates."""

    # Part of the written tokens.
    written_1h: int = 0
    # Both part of the cached tokens, and of `audio` and `image`.
    cached_audio: int = 0
    cached_image: int = 0
    # These three are part of the prompt.
    audio: int = 0
    image: int = 0
    video: int = 0
    # These five are part of the completion.
    output_audio: int = 0
    output_image: int = 0
    output_video: int = 0
    reasoning: int = 0
    citation: int = 0
    # Searches on the web.
    searches: int = 0


NO_TOKEN_DETAILS: Final = TokenDetails()


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A price in US dollars per million tokens, with further rates in `terms`.

    Terms without a condition add to the fields' rates; those of the last condition that holds
    replace them.
    """

    input: Decimal
    output: Decimal
    # None: no discount for cached tokens.
    cached_input: Decimal | None = None
    # None: writing to the provider's prefix cache costs the same as other input.
    cache_write: Decimal | None = None
    terms: tuple[PriceTerm, ...] = ()

    def compute_cost(
        self,
        *,
        prompt: int,
        completion: int,
        cached: int = 0,
        written: int = 0,
        details: TokenDetails = NO_TOKEN_DETAILS,
        at: float | None = None,
        service_tier: str = "",
    ) -> Decimal:
        """Compute the cost of one call in US dollars.

        Of the `prompt` tokens `cached` are billed at the cached rate and `written` others at the
        rate for writing. `at`: the time of the call in epoch seconds.

        Raises ValueError when a count is negative or `cached` and `written` together exceed
        `prompt`.
        """
        if min(prompt, completion, cached, written) < 0 or cached + written > prompt:
            counts = f"{prompt=} {completion=} {cached=} {written=}"
            raise ValueError(
                "token counts must satisfy 0 <= cached + written <= prompt and completion "
                f">= 0, got {counts}"
            )
        rates = self._select_rates(prompt, at, service_tier)
        if details is NO_TOKEN_DETAILS:
            return _compute_text_cost(rates, prompt, completion, cached, written)
        sums = _list_token_counts(prompt, completion, cached, written, details)
        tokens = sum(
            (count * _find_rate(rates, names) for count, names in sums if count), start=Decimal(0)
        )
        return (
            tokens / MILLION
            + rates.get("request", Decimal(0))
            + details.searches * rates.get("search", Decimal(0))
        )

    def _select_rates(
        self, prompt: int, at: float | None, service_tier: str
    ) -> Mapping[str, Decimal]:
        """Return the rates by name that apply to a prompt of that length."""
        own = {"input": self.input, "output": self.output}
        if self.cached_input is not None:
            own["cached_input"] = self.cached_input
        if self.cache_write is not None:
            own["cache_write"] = self.cache_write
        if not self.terms:
            return own
        moment = None if at is None else datetime.fromtimestamp(at, UTC)
        met = [term.condition for term in self.terms if term.condition.is_met(moment, service_tier)]
        special = [condition for condition in met if condition != ORDINARY_CONDITION]
        chosen = special[-1] if special else ORDINARY_CONDITION
        rates = (
            own if chosen == ORDINARY_CONDITION else {"input": self.input, "output": self.output}
        )
        for term in sorted(self.terms, key=lambda term: term.above_tokens):
            if term.condition == chosen and (not term.above_tokens or prompt > term.above_tokens):
                rates.update(term.rates)
        return rates


def _compute_text_cost(
    rates: Mapping[str, Decimal], prompt: int, completion: int, cached: int, written: int
) -> Decimal:
    """Compute the cost of a call of nothing but text."""
    # Nearly every call is one of these, a hit needs two such sums, and this takes a third of the
    # time.
    dollars = (prompt - cached - written) * rates["input"] + completion * rates["output"]
    if cached:
        dollars += cached * rates.get("cached_input", rates["input"])
    if written:
        dollars += written * rates.get("cache_write", rates["input"])
    return dollars / MILLION + rates.get("request", Decimal(0))


def _list_token_counts(
    prompt: int, completion: int, cached: int, written: int, of: TokenDetails
) -> list[tuple[int, tuple[str, ...]]]:
    """List each kind of token with the names of its possible rates, the most specific first."""
    audio, image = of.audio - of.cached_audio, of.image - of.cached_image
    special = of.output_audio + of.output_image + of.output_video + of.reasoning + of.citation
    return [
        (prompt - cached - written - audio - image - of.video, ("input",)),
        (cached - of.cached_audio - of.cached_image, ("cached_input", "input")),
        (of.cached_audio, ("cached_audio", "cached_input", "input_audio", "input")),
        (of.cached_image, ("cached_image", "cached_input", "input_image", "input")),
        (written - of.written_1h, ("cache_write", "input")),
        (of.written_1h, ("cache_write_1h", "cache_write", "input")),
        (audio, ("input_audio", "input")),
        (image, ("input_image", "input")),
        (of.video, ("input_video", "input")),
        (completion - special, ("output",)),
        (of.output_audio, ("output_audio", "output")),
        (of.output_image, ("output_image", "output")),
        (of.output_video, ("output_video", "output")),
        (of.reasoning, ("output_reasoning", "output")),
        (of.citation, ("output_citation", "output")),
    ]


def _find_rate(rates: Mapping[str, Decimal], names: tuple[str, ...]) -> Decimal:
    return next(rates[name] for name in names if name in rates)
