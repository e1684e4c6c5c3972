"""What compression would do to a chat and why, for people to look at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from itertools import chain
from typing import Any, Literal, cast

from plans.pricing import Price
from plans.snapshot import CompressionSettings
from proxy.core.compression.compress import compress, drafted, whole_messages
from proxy.core.compression.counted_chat import Draft
from proxy.core.compression.excerpt import Excerpt
from proxy.core.compression.layout import Outline, outline
from proxy.core.compression.memo import Memory
from proxy.core.compression.registry import ENGINES
from proxy.core.compression.selection import ranked
from proxy.core.compression.speakers import spoken
from proxy.core.compression.types import Cut, Terms
from proxy.core.compression.units import Keep, Unit, noted, texts, units
from proxy.core.tokens import count_message
from proxy.core.types import Message

# protected: sent as it is, whatever it costs. recent: sent whole, after the mark. whole: sent whole, as everything fits or the engine
# keeps whole messages. shortened: kept of a message that such an engine cut in its middle. block, recalled: in the transcript of that
# name.
Place = Literal["protected", "recent", "whole", "shortened", "block", "recalled", "left out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A stretch of the chat as asked: characters `start` to `end` of a content part of a message, by index.

    `part` None: the messages from `message` to `last_message` (a call of tools and its results) share one fate, and `text` is what a
    transcript says for them. `score`: what the engine gave it, `rank`: its place among those it ranked, 1 the best; both None for what
    was not ranked.
    """

    place: Place
    message: int
    last_message: int
    part: int | None
    start: int
    end: int
    text: str
    score: float | None = None
    rank: int | None = None

    def fields(self) -> dict[str, Any]:
        """`dataclasses.asdict`, in a tenth of the time: there may be a hundred thousand of them."""
        return {name: getattr(self, name) for name in _NAMES}


_NAMES = tuple(field.name for field in fields(Shown))


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """The next turn of the chat: its tokens, and how many of them at its start are the same messages as now (a warm prefix)."""

    tokens: int
    warm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What `compress` does (`cut`), all of the chat by where it goes, and the next turn as asked and as sent."""

    cut: Cut
    shown: tuple[Shown, ...]
    next_asked: Following
    next_sent: Following


GO_ON: Message = {"role": "user", "content": "Go on."}


def preview(
    messages: list[Message], settings: CompressionSettings, *, model: str, memory: Memory | None = None, terms: Terms | None = None
) -> Preview:
    """Compress a chat as `compress` does, and say what became of each of its sentences.

    The next turn is tried too: a short answer, and the same question again.
    """
    memory = memory or Memory()
    cut = compress(messages, settings, model=model, memory=memory, terms=terms)
    again = next((message for message in reversed(messages) if message.get("role") == "user"), GO_ON)
    longer = [*messages, noted(messages), dict(again)]
    following = compress(longer, settings, model=model, memory=memory, terms=terms)
    return Preview(
        cut=cut,
        shown=tuple(_shown(messages, settings, cut, memory)),
        next_asked=_following(messages, longer, following.before, cut.encoding),
        next_sent=_following(cut.messages or messages, following.messages or longer, following.after, cut.encoding),
    )


def _following(now: Sequence[Message], later: Sequence[Message], tokens: int, encoding: str) -> Following:
    same = 0
    while same < min(len(now), len(later)) and now[same] == later[same]:
        same += 1
    return Following(tokens=tokens, warm=sum(count_message(message, encoding) for message in later[:same]))


def _shown(messages: list[Message], settings: CompressionSettings, cut: Cut, memory: Memory) -> Iterator[Shown]:
    chat = units(messages)
    if cut.messages is None or cut.note == "protected-exceeds-budget":
        rest: Place = "whole" if cut.messages is None else "left out"
        return chain.from_iterable(_unit(unit, messages, rest) for unit in chat)
    counts = [count_message(message, cut.encoding, memory.count) for message in messages]
    draft = drafted(messages, counts, settings, cut.encoding, memory)
    if draft.fits:
        return chain.from_iterable(_unit(unit, messages, "whole") for unit in chat)
    if ENGINES[cut.engine].grain == "message":
        return _by_message(draft, replace(settings, engine=cut.engine))
    return _by_sentence(draft, outline(draft, settings, memory))


def _unit(unit: Unit, messages: list[Message], place: Place, score: float | None = None, rank: int | None = None) -> Iterator[Shown]:
    """All of a unit, at the same place unless it is protected."""
    if unit.keep is Keep.PROTECTED:
        place = "protected"
    first, last = unit.messages[0], unit.messages[-1]
    apart = unit.keep is Keep.SENTENCES or (first == last and isinstance(messages[first].get("content"), str))
    said = enumerate(texts(messages[first])) if apart else [(None, spoken(unit, messages))]
    for part, text in said:
        yield Shown(place=place, message=first, last_message=last, part=part, start=0, end=len(text), text=text, score=score, rank=rank)


def _by_message(draft: Draft, settings: CompressionSettings) -> Iterator[Shown]:
    """The units of a chat from which an engine kept whole ones, and perhaps a part of one."""
    found = whole_messages(draft, settings)
    places = _ranks(list(found.scores.values()))
    ranks = {unit: places[index] for index, unit in enumerate(found.scores)}
    for index, unit in enumerate(draft.chat):
        judged = (found.scores[index], ranks[index]) if index in found.scores else (None, None)
        cut = {part: some for (message, part), some in found.excerpts.items() if message in unit.messages}
        if index not in found.units or not cut:
            yield from _unit(unit, draft.messages, "whole" if index in found.units else "left out", *judged)
        elif unit.keep is Keep.SENTENCES:
            yield from _excerpt(unit, draft.messages, cut, *judged)
        else:
            yield from _unit(unit, draft.messages, "shortened", *judged)


def _excerpt(unit: Unit, messages: list[Message], cut: dict[int, Excerpt], score: float | None, rank: int | None) -> Iterator[Shown]:
    """A message of which a part is kept, stretch by stretch."""
    index = unit.messages[0]
    for part, text in enumerate(texts(messages[index])):
        some = cut.get(part, cut.get(-1))
        at = 0
        for start, end in (*some.kept, (len(text), len(text))) if some else ((0, len(text)),):
            for place, left, right in (("left out", at, start), ("shortened", start, end)):
                if left < right:
                    yield Shown(
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


def _by_sentence(draft: Draft, found: Outline) -> Iterator[Shown]:
    """The units of a chat with those before the recent ones in sentences."""
    ranks, history = _ranks(found.scores), found.history
    block, recalled = set(found.block.pieces), set(found.recalled.pieces)
    pieces: dict[int, list[Shown]] = {}
    for index, piece in enumerate(history.pieces):
        place: Place = "block" if index in block else "recalled" if index in recalled else "left out"
        messages = draft.chat[piece.unit].messages
        pieces.setdefault(piece.unit, []).append(
            Shown(
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
    for index, unit in enumerate(draft.chat):
        yield from pieces.get(index) or _unit(unit, draft.messages, "recent" if index >= found.parts.recent else "left out")


def _ranks(scores: Sequence[float]) -> dict[int, int]:
    """The place of each index, 1 for the highest score."""
    return {index: place for place, index in enumerate(ranked(scores), 1)}


# What a prompt costs, in this turn and in the next one.

# The shortest prefix that providers remember, most of them (platform.openai.com/docs/guides/prompt-caching,
# docs.claude.com/en/docs/build-with-claude/prompt-caching).
SHORTEST_PREFIX = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """US dollars for a prompt without its answer: `now` at list price; `next_turn` with what the provider remembers of this turn at
    its price for that, None where it has no such price."""

    now: Decimal
    next_turn: Decimal | None


def bill(price: Price, now: int, following: Following) -> Bill:
    """For a prompt of `now` tokens and the turn that follows it. A surcharge for writing into the provider's memory is not in it."""
    warm = following.warm if following.warm >= SHORTEST_PREFIX else 0
    warmed = None if price.cached_input is None else price.cost(prompt=following.tokens, completion=0, cached=warm)
    return Bill(now=price.cost(prompt=now, completion=0), next_turn=warmed)
