"""Cut a chat down to a budget of input tokens: the one entry to this package."""

import logging
import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from plans.snapshot import CompressionSettings
from proxy.core.compression.break_even import Sizes, pays
from proxy.core.compression.counted_chat import Draft
from proxy.core.compression.document import TooLong, by_message
from proxy.core.compression.excerpt import LEAST_EXCERPT, Excerpt, excerpt, shares, texts_of, with_texts
from proxy.core.compression.layout import outline
from proxy.core.compression.memo import Memory
from proxy.core.compression.reasoning import without_old_reasoning
from proxy.core.compression.registry import ENGINES, load
from proxy.core.compression.selection import fill, ranked, scored
from proxy.core.compression.types import Cut, Terms
from proxy.core.compression.units import Keep, Unit, taker, turn_of, units
from proxy.core.tokens import REPLY_PRIMING, count_message, count_messages, encoding_for
from proxy.core.types import Message

logger = logging.getLogger(__name__)
FALLBACK = "trim"
CHEAPER_WHOLE = "cheaper-whole"
# Sentence splitting is linear but not free, 0.3 us a byte and some 7 us at worst: above this (250,000 tokens of prose) only `trim` runs.
MAX_BYTES = 1_000_000
# A message or content part takes as long as so many bytes, however short it is: 30 us.
PER_TEXT = 32
# 16 KB are counted in a quarter of a millisecond.
SMALL = 16_384


def compress(
    messages: list[Message], settings: CompressionSettings, *, model: str, memory: Memory | None = None, terms: Terms | None = None
) -> Cut:
    """At most `max_input_tokens` of a chat, as billed for the model: protected messages as they are, the rest by the engine's ranks.

    Nothing is cut from a chat within the budget, nor under `when: saves` from one that is cheaper whole by the terms (`cheaper-whole`;
    without terms it is cut). When the protected messages alone exceed it they are all that is sent, noted as
    `protected-exceeds-budget`. An engine that cannot serve (`too-long-for-<engine>`, `engine-failed`) is replaced by `trim`. With a
    memory the same is done sooner for messages that were seen before.
    """
    encoding, _ = encoding_for(model)
    memory = memory or Memory()
    counts = [count_message(message, encoding, memory.count) for message in messages]
    before = REPLY_PRIMING + sum(counts)
    whole = Cut(messages=None, before=before, after=before, engine=settings.engine, encoding=encoding)
    if before <= settings.max_input_tokens:
        return whole
    draft = drafted(messages, counts, settings, encoding, memory)
    if draft.floor > draft.budget:
        cut = draft.protected if draft.protected != messages else None
        return replace(whole, messages=cut, after=draft.floor, note="protected-exceeds-budget")
    (kept, after, recalled, stable), engine, note = _light(draft) or _run(draft, settings, memory)
    if settings.when == "saves" and terms is not None and not pays(asked_at(messages, counts), _sizes(messages, counts, settings), terms):
        return replace(whole, note=CHEAPER_WHOLE, recalled=recalled)
    return replace(whole, messages=kept, after=after, engine=engine or settings.engine, note=note, recalled=recalled, stable=stable)


def drafted(messages: list[Message], counts: list[int], settings: CompressionSettings, encoding: str, memory: Memory) -> Draft:
    """A chat about to be cut, its old reasoning shortened. `counts`: tokens of the messages as they came."""
    chat = units(messages)
    light = without_old_reasoning(messages, chat)
    lighter = [
        count if message is before else count_message(message, encoding, memory.count)
        for message, before, count in zip(light, messages, counts, strict=True)
    ]
    return Draft(light, chat, turn_of(messages, chat), lighter, encoding, settings.max_input_tokens, memory.count)


def fits(messages: list[Message], settings: CompressionSettings, *, model: str) -> Cut | None:
    """The Cut of a chat that is quickly seen to be within the budget, or None when `compress` must look. Takes well under a millisecond:
    a chat above 16 KB is not counted."""
    if size(messages, enough=SMALL) > SMALL:
        return None
    encoding, _ = encoding_for(model)
    before = count_messages(messages, encoding)
    if before > settings.max_input_tokens:
        return None
    return Cut(messages=None, before=before, after=before, engine=settings.engine, encoding=encoding)


def size(value: object, *, enough: float = math.inf) -> int:
    """UTF-8 bytes of all strings inside: how much there is to read and count. Looks no further than to `enough` of them, nor into more
    containers than that."""
    found, seen, left = 0, 0, [value]
    while left:
        seen += 1
        if found > enough or seen > enough:
            return max(found, seen)
        inner = left.pop()
        # Texts are looked at where they lie: most values are texts, and a list of what is left costs more than they do.
        for item in inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else (inner,):
            if isinstance(item, str):
                found += len(item) if item.isascii() else len(item.encode("utf-8", "surrogatepass"))
            elif isinstance(item, dict | list):
                left.append(item)
    return found


def asked_at(messages: list[Message], counts: Sequence[int]) -> list[int]:
    """Tokens of the whole prompt at each turn of a chat so far: up to each message of the user's that was answered, and to the last."""
    ends = [index for index, message in enumerate(messages) if message.get("role") == "user"]
    turns = [index for index, following in zip(ends, [*ends[1:], -1], strict=True) if following != index + 1]
    sums = list(accumulate(counts, initial=REPLY_PRIMING))
    return [sums[index + 1] for index in turns[:-1]] + [sums[-1]]


def _sizes(messages: list[Message], counts: Sequence[int], settings: CompressionSettings) -> Sizes:
    """What a chat is cut to, its system text counted."""
    lead = next((index for index, message in enumerate(messages) if message.get("role") not in ("system", "developer")), 0)
    return Sizes.of(settings, head=sum(counts[:lead]))


def _light(draft: Draft) -> tuple[tuple[list[Message], int, int, int], str, str] | None:
    """What `_run` returns, where the budget holds all but the old reasoning."""
    if not draft.fits:
        return None
    before = draft.chat[draft.turn].messages[0] if draft.turn < len(draft.chat) else len(draft.messages)
    return (draft.messages, draft.total, 0, before), "", ""


def _run(draft: Draft, settings: CompressionSettings, memory: Memory) -> tuple[tuple[list[Message], int, int, int], str, str]:
    """What `_with` returns, the engine that chose the messages and why it is not the one asked for."""
    try:
        return _with(settings, draft, memory), settings.engine, ""
    except TooLong:
        note = f"too-long-for-{settings.engine}"
    except Exception as error:
        # Its message could quote the prompt.
        logger.warning("compression engine %s failed: %s", settings.engine, type(error).__name__)
        note = "engine-failed"
    return _with(replace(settings, engine=FALLBACK), draft, memory), FALLBACK, note


def _with(settings: CompressionSettings, draft: Draft, memory: Memory) -> tuple[list[Message], int, int, int]:
    """The messages kept, their tokens and those of what was recalled, and how many messages from the first the next turn has too."""
    if ENGINES[settings.engine].grain == "message":
        kept = whole_messages(draft, settings)
        return kept.messages, kept.tokens, kept.tokens, 0
    if sum(_work(unit, draft.messages) for unit in draft.chat) > MAX_BYTES:
        raise TooLong
    found = outline(draft, settings, memory)
    return found.parts.messages, found.parts.tokens, found.recalled.tokens, found.parts.stable


def _work(unit: Unit, messages: list[Message]) -> int:
    """How much there is to read in a unit that may be cut, in bytes."""
    if unit.keep is Keep.PROTECTED:
        return 0
    contents = (messages[i].get("content") for i in unit.messages)
    texts = sum(len(content) if isinstance(content, list) else 1 for content in contents)
    return PER_TEXT * texts + sum(size(messages[i]) for i in unit.messages)


# Cut a chat by whole messages, for the engines that rank those.


@dataclass(frozen=True)
class Kept:
    """What is sent of a chat, its tokens, and how it was found: the scores of the units, those that go whole or as an excerpt, and
    what is kept of the texts of the latter, by message and content part."""

    messages: list[Message]
    tokens: int
    scores: dict[int, float]
    units: frozenset[int] = frozenset()
    excerpts: dict[tuple[int, int], Excerpt] = field(default_factory=dict)


def whole_messages(draft: Draft, settings: CompressionSettings) -> Kept:
    """The messages of the units with the highest scores, in the order of the chat and within the budget. The best one that is too large
    is cut in its middle, where there is room left."""
    history = by_message(draft.chat, draft.messages, settings.language)
    scores = scored(load(settings.engine), history)
    by_unit = {history.pieces[index].unit: score for index, score in enumerate(scores)}

    def cost(index: int, room: int) -> int | None:
        tokens = draft.cost(draft.chat[history.pieces[index].unit])
        return tokens if tokens <= room else None

    order = ranked(scores)
    taken = [history.pieces[index].unit for index in fill(order, draft.budget - draft.floor, cost)]
    found = _within(draft, taken, by_unit)
    rest = [unit for unit in (history.pieces[index].unit for index in order) if unit not in set(taken)]
    return _with_an_excerpt(draft, settings, taken, rest, found) or found


def _within(draft: Draft, taken: list[int], scores: dict[int, float]) -> Kept:
    fewer = 1
    while True:
        left = _in_pairs(draft, set(taken))
        sent = draft.in_turn(draft.written([draft.chat[index] for index in left]))
        tokens = draft.tokens(sent)
        if tokens <= draft.budget or not taken:
            return Kept(sent, tokens, scores, frozenset(left))
        # Stand-ins for what was left out take a few tokens too: the last ones give way, more of them each time.
        taken = taken[:-fewer]
        fewer *= 2


# Units that are tried for an excerpt: the others are no larger matter.
_TRIES = 8


def _with_an_excerpt(draft: Draft, settings: CompressionSettings, taken: list[int], rest: list[int], found: Kept) -> Kept | None:
    """The same with a part of the best unit that has one; None where there is none or no room."""
    # What goes alone may go with it, and the one that was too large may be the one that it answers.
    room = draft.budget - draft.floor - sum(draft.cost(draft.chat[unit]) for unit in taken)
    for unit in rest[:_TRIES]:
        if room < LEAST_EXCERPT or draft.cost(draft.chat[unit]) <= room:
            continue
        made = _excerpts(draft, settings, draft.chat[unit], room)
        if not made:
            continue
        messages, counts = list(draft.messages), list(draft.counts)
        for index in {index for index, _ in made}:
            messages[index] = with_texts(messages[index], {part: some.text for (of, part), some in made.items() if of == index})
            counts[index] = count_message(messages[index], draft.encoding)
        cut = _within(replace(draft, messages=messages, counts=counts), [unit, *taken], found.scores)
        if unit in cut.units and cut.tokens > found.tokens:
            return replace(cut, excerpts=made)
    return None


def _excerpts(draft: Draft, settings: CompressionSettings, unit: Unit, room: int) -> dict[tuple[int, int], Excerpt]:
    """What is kept of the texts of a unit, so that all of it has no more than the room; nothing where that cannot be."""
    rank = load(settings.engine)
    texts = [(index, part, text) for index in unit.messages for part, text in texts_of(draft.messages[index])]
    counts = [draft.count(text, draft.encoding) for _, _, text in texts]
    around = draft.cost(unit) - sum(counts)
    found: dict[tuple[int, int], Excerpt] = {}
    for (index, part, text), tokens, share in zip(texts, counts, shares(counts, max(0, room - around)), strict=True):
        if share < tokens:
            some = excerpt(text, share, draft.encoding, rank, settings.language)
            if some is None:
                return {}
            found[index, part] = some
    return found


def _in_pairs(draft: Draft, kept: Container[int]) -> list[int]:
    """The units kept and the protected ones. A chat that took turns loses the questions without an answer and the answers without a
    question, one that began with the user whatever comes before the user's first message."""
    left: list[int] = []
    turns = [("", 0)]  # whose, and where in `left`
    begun = not draft.user_leads
    for index, unit in enumerate(draft.chat):
        if index not in kept and unit.keep is not Keep.PROTECTED:
            continue
        message = draft.messages[unit.messages[0]]
        turn, (last, place) = taker(message), turns[-1]
        if unit.keep is not Keep.PROTECTED:
            begun = begun or turn == "user"
            if not begun or (draft.alternates and turn == last == "assistant"):
                continue
        if draft.alternates and turn == last == "user" and not any(draft.chat[some].keep is Keep.PROTECTED for some in left[place:]):
            del left[place:]
            turns.pop()
        if turn:
            turns.append((turn, len(left)))
        left.append(index)
    return left
