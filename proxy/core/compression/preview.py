"""Describe what compression would do to a chat and why, for display."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from itertools import chain
from typing import Any, Literal, cast

from plans.pricing import Price
from plans.snapshot import CompressionSettings
from proxy.core.compression.algorithm_registry import ENGINES
from proxy.core.compression.compress import build_counted_chat, compress, select_whole_messages
from proxy.core.compression.counted_chat import CountedChat
from proxy.core.compression.excerpt import Excerpt
from proxy.core.compression.layout import PromptLayout, build_layout
from proxy.core.compression.memo import Memo
from proxy.core.compression.results import CompressionResult, CompressionTerms
from proxy.core.compression.selection import rank_indices
from proxy.core.compression.speakers import write_unit_text
from proxy.core.compression.units import (
    Unit,
    UnitPolicy,
    choose_placeholder,
    list_part_texts,
    split_units,
)
from proxy.core.tokens import count_message_tokens
from proxy.core.types import Message

# protected: always sent unchanged. recent: sent whole, after the frozen boundary. whole: sent
# whole, as everything fits or the engine keeps whole messages. shortened: kept of a message that
# such an engine shortened. block, recalled: in the frozen block's transcript or the retrieved one.
Place = Literal["protected", "recent", "whole", "shortened", "block", "recalled", "left out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewSpan:
    """A stretch of the original chat: characters `start` to `end` of a content part of a message.

    With `part` None, the messages from `message` to `last_message` (a tool call and its results)
    are kept or dropped together, and `text` is what a transcript says for them.
    """

    place: Place
    message: int
    last_message: int
    part: int | None
    start: int
    end: int
    text: str
    # The engine's score and its rank, 1 the best; None for what was not ranked.
    score: float | None = None
    rank: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary."""
        # `dataclasses.asdict` takes ten times as long, and there may be a hundred thousand spans.
        return {name: getattr(self, name) for name in _FIELD_NAMES}


_FIELD_NAMES = tuple(field.name for field in fields(PreviewSpan))


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTurn:
    """The next turn's prompt tokens, and how many of them are a prefix it shares with this turn."""

    tokens: int
    warm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The result of `compress`, where each part of the chat goes, and the next turn."""

    compression: CompressionResult
    spans: tuple[PreviewSpan, ...]
    # Uncompressed and compressed.
    next_asked: NextTurn
    next_sent: NextTurn


CONTINUE_MESSAGE: Message = {"role": "user", "content": "Go on."}


def build_preview(
    messages: list[Message],
    settings: CompressionSettings,
    *,
    model: str,
    memory: Memo | None = None,
    terms: CompressionTerms | None = None,
) -> Preview:
    """Compress a chat as `compress` does, and report what becomes of each sentence.

    The next turn is tried too: a short answer, and the same question again.
    """
    memory = memory or Memo()
    cut = compress(messages, settings, model=model, memory=memory, terms=terms)
    again = next(
        (message for message in reversed(messages) if message.get("role") == "user"),
        CONTINUE_MESSAGE,
    )
    longer = [*messages, choose_placeholder(messages), dict(again)]
    following = compress(longer, settings, model=model, memory=memory, terms=terms)
    return Preview(
        compression=cut,
        spans=tuple(_list_spans(messages, settings, cut, memory)),
        next_asked=_measure_next_turn(messages, longer, following.before, cut.encoding),
        next_sent=_measure_next_turn(
            cut.messages or messages, following.messages or longer, following.after, cut.encoding
        ),
    )


def _measure_next_turn(
    now: Sequence[Message], later: Sequence[Message], tokens: int, encoding: str
) -> NextTurn:
    same = 0
    while same < min(len(now), len(later)) and now[same] == later[same]:
        same += 1
    return NextTurn(
        tokens=tokens, warm=sum(count_message_tokens(message, encoding) for message in later[:same])
    )


def _list_spans(
    messages: list[Message], settings: CompressionSettings, cut: CompressionResult, memory: Memo
) -> Iterator[PreviewSpan]:
    chat = split_units(messages)
    if cut.messages is None or cut.note == "protected-exceeds-budget":
        rest: Place = "whole" if cut.messages is None else "left out"
        return chain.from_iterable(_show_unit(unit, messages, rest) for unit in chat)
    counts = [
        count_message_tokens(message, cut.encoding, memory.count_tokens) for message in messages
    ]
    draft = build_counted_chat(messages, counts, settings, cut.encoding, memory)
    if draft.is_within_budget:
        return chain.from_iterable(_show_unit(unit, messages, "whole") for unit in chat)
    if ENGINES[cut.engine].grain == "message":
        return _show_whole_messages(draft, replace(settings, engine=cut.engine))
    return _show_sentences(draft, build_layout(draft, settings, memory))


def _show_unit(
    unit: Unit,
    messages: list[Message],
    place: Place,
    score: float | None = None,
    rank: int | None = None,
) -> Iterator[PreviewSpan]:
    """Yield a whole unit at one place, unless it is protected."""
    if unit.policy is UnitPolicy.PROTECTED:
        place = "protected"
    first, last = unit.message_indices[0], unit.message_indices[-1]
    apart = unit.policy is UnitPolicy.SENTENCES or (
        first == last and isinstance(messages[first].get("content"), str)
    )
    said = (
        enumerate(list_part_texts(messages[first]))
        if apart
        else [(None, write_unit_text(unit, messages))]
    )
    for part, text in said:
        yield PreviewSpan(
            place=place,
            message=first,
            last_message=last,
            part=part,
            start=0,
            end=len(text),
            text=text,
            score=score,
            rank=rank,
        )


def _show_whole_messages(
    draft: CountedChat, settings: CompressionSettings
) -> Iterator[PreviewSpan]:
    """Yield the units of a chat of which an engine kept some, and perhaps an excerpt of one."""
    found = select_whole_messages(draft, settings)
    places = _map_ranks(list(found.scores.values()))
    ranks = {unit: places[index] for index, unit in enumerate(found.scores)}
    for index, unit in enumerate(draft.units):
        judged = (found.scores[index], ranks[index]) if index in found.scores else (None, None)
        cut = {
            part: some
            for (message, part), some in found.excerpts.items()
            if message in unit.message_indices
        }
        if index not in found.kept_units or not cut:
            yield from _show_unit(
                unit, draft.messages, "whole" if index in found.kept_units else "left out", *judged
            )
        elif unit.policy is UnitPolicy.SENTENCES:
            yield from _show_excerpt(unit, draft.messages, cut, *judged)
        else:
            yield from _show_unit(unit, draft.messages, "shortened", *judged)


def _show_excerpt(
    unit: Unit,
    messages: list[Message],
    cut: dict[int, Excerpt],
    score: float | None,
    rank: int | None,
) -> Iterator[PreviewSpan]:
    """Yield the kept and dropped stretches of a shortened message."""
    index = unit.message_indices[0]
    for part, text in enumerate(list_part_texts(messages[index])):
        some = cut.get(part, cut.get(-1))
        at = 0
        for start, end in (*some.kept_spans, (len(text), len(text))) if some else ((0, len(text)),):
            for place, left, right in (("left out", at, start), ("shortened", start, end)):
                if left < right:
                    yield PreviewSpan(
                        place=cast(Place, place),
                        message=index,
                        last_message=index,
                        part=part,
                        start=left,
                        end=right,
                        text=text[left:right],
                        score=score,
                        rank=rank,
                    )
            at = end


def _show_sentences(draft: CountedChat, found: PromptLayout) -> Iterator[PreviewSpan]:
    """Yield the units of a chat, those before the recent ones by sentence."""
    ranks, history = _map_ranks(found.scores), found.document
    block, recalled = set(found.block.pieces), set(found.retrieved.pieces)
    pieces: dict[int, list[PreviewSpan]] = {}
    for index, piece in enumerate(history.pieces):
        place: Place = (
            "block" if index in block else "recalled" if index in recalled else "left out"
        )
        messages = draft.units[piece.unit].message_indices
        pieces.setdefault(piece.unit, []).append(
            PreviewSpan(
                place=place,
                message=messages[0],
                last_message=messages[-1],
                part=piece.part if piece.part >= 0 else None,
                start=piece.start,
                end=piece.end,
                text=piece.text,
                score=float(found.scores[index]),
                rank=ranks[index],
            )
        )
    for index, unit in enumerate(draft.units):
        yield from pieces.get(index) or _show_unit(
            unit, draft.messages, "recent" if index >= found.parts.recent_start else "left out"
        )


def _map_ranks(scores: Sequence[float]) -> dict[int, int]:
    """Return the rank of each index, 1 for the highest score."""
    return {index: place for place, index in enumerate(rank_indices(scores), 1)}


# The shortest prefix that most providers cache (platform.openai.com/docs/guides/prompt-caching,
# docs.claude.com/en/docs/build-with-claude/prompt-caching).
MIN_CACHED_PREFIX_TOKENS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCost:
    """US dollars for the input tokens of a prompt."""

    # At list price.
    now: Decimal
    # With what is cached from this turn at its price; None if the price list has no such price.
    next_turn: Decimal | None


def compute_prompt_cost(price: Price, now: int, following: NextTurn) -> PromptCost:
    """Return the cost of a prompt of `now` tokens and of the turn that follows it.

    Excludes a surcharge for writing to the provider's cache.
    """
    warm = following.warm if following.warm >= MIN_CACHED_PREFIX_TOKENS else 0
    warmed = (
        None
        if price.cached_input is None
        else price.compute_cost(prompt=following.tokens, completion=0, cached=warm)
    )
    return PromptCost(now=price.compute_cost(prompt=now, completion=0), next_turn=warmed)
