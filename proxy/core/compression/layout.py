"""How a cut chat is laid out, so that a provider's prompt cache keeps most of it."""

import marshal
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import numpy as np

from plans.snapshot import CompressionSettings
from proxy.core.compression.counted_chat import Draft
from proxy.core.compression.document import History, by_sentence
from proxy.core.compression.fragments import Share
from proxy.core.compression.memo import Memory
from proxy.core.compression.registry import ENGINES, load
from proxy.core.compression.rendering import LEFT_OUT
from proxy.core.compression.selection import NOTHING, Chosen, choose, each_once, ranked, scored
from proxy.core.compression.speakers import EARLIER
from proxy.core.compression.transcript import Transcript
from proxy.core.compression.units import Keep
from proxy.core.tokens import count_text
from proxy.core.types import Message

# Where the old part of a chat ends: a mark that stands still for many turns, so that what was made
# of the old part stays the same.
#
# Turns gather after the mark until they are more than HIGH of the budget; then it moves on as far
# as it can with LOW of the budget, or more, after it. It depends on the sizes of the earlier turns
# alone: whoever sees the same chat, with or without memory of it, finds the same mark.
#
# With a block of an eighth of 4,096 tokens the prefix has about 1,024 to 1,664: most providers
# remember none of less than 1,024.

LOW, HIGH = 4 / 32, 9 / 32


def mark(costs: Sequence[int], budget: int) -> int:
    """How many of the units are old. `costs`: tokens of each, in the order of the chat, what never goes counted as nothing."""
    low, high = LOW * budget, HIGH * budget
    old = gathered = 0
    for cost in costs:
        gathered += cost
        if gathered > high:
            # A turn that is longer than all of that goes.
            while gathered > high or (gathered > low and gathered - costs[old] >= low):
                gathered -= costs[old]
                old += 1
    return old


# The messages of a chat that was cut, in roles that every provider takes.

BLOCK_HEAD = f"[{EARLIER.capitalize()}, shortened; {LEFT_OUT} is what was left out]"
RECALL_HEAD = f"[From {EARLIER}, for the message that follows; {LEFT_OUT} is what was left out]"
# Tokens around a transcript, at most: its heading and role, and an answer before and after it.
FRAME = 40


@dataclass(frozen=True)
class Parts:
    """A cut chat: units from `recent` on are whole, of those before it only what is protected is sent; `block` and `recalled` are
    transcripts, or empty. `steady`: `recent` stays where it is while the mark does."""

    draft: Draft
    recent: int
    block: str = ""
    recalled: str = ""
    steady: bool = True

    @cached_property
    def messages(self) -> list[Message]:
        """Those that stay as they were are the very objects that came in."""
        recalled = _transcript(RECALL_HEAD, self.recalled)
        sent = (*self._old, *self._recent, *recalled, *self.draft.written(self.draft.chat[self.draft.turn :]))
        return self.draft.in_turn(sent, [*self._block, *recalled])

    @cached_property
    def stable(self) -> int:
        """How many of the messages, from the first, the next turn begins with too unless the mark moves."""
        return len(self.draft.in_turn([*self._old, *(self._recent if self.steady else ())], self._block))

    @cached_property
    def tokens(self) -> int:
        """Of all messages, as billed."""
        return self.draft.tokens(self.messages)

    @cached_property
    def _block(self) -> list[Message]:
        return _transcript(BLOCK_HEAD, self.block)

    @cached_property
    def _old(self) -> list[Message]:
        """What is sent of the units before the recent ones."""
        return [*self.draft.written([unit for unit in self.draft.chat[: self.recent] if unit.keep is Keep.PROTECTED]), *self._block]

    @cached_property
    def _recent(self) -> list[Message]:
        return self.draft.written(self.draft.chat[self.recent : self.draft.turn])


def _transcript(head: str, text: str) -> list[Message]:
    return [{"role": "user", "content": f"{head}\n{text}"}] if text else []


# What of the old part of a chat goes along for this one question. It costs its full price in every
# turn, so a question gets what it asks for, and "yes please" next to nothing.

# So much of the budget at most, and nothing that is worth less than this share of the best.
RECALL, RELEVANT = 3 / 4, 0.1
# From this flatness on less is recalled, down to this share.
FLAT, LEAST = 0.55, 0.5


def recall(parts: Parts, history: History, block: Chosen, scores: Sequence[float], *, asked: bool, least: int) -> Chosen:
    """The best pieces by their scores that the block does not say already, as many as there is room for, `least` where so many fit.
    `asked`: the scores are for a question."""
    budget = parts.draft.budget
    left = _left(scores, parts, history, block, asked=asked, least=least)
    share = RECALL * (_called_for(scores) if asked else 1)
    room = budget - replace(parts, recalled=LEFT_OUT).tokens
    # What would have been kept in one piece had it been shorter is kept as far as it fits.
    if not any(tokens > budget * RECALL for _, tokens in _wanted(left, parts, history)):
        room = min(room, round(budget * share))
    writer = Transcript(history.pieces, parts.draft.chat, parts.draft.messages)
    while room > 0:
        found = choose(history.pieces, left, room, writer, parts.draft.encoding, least=least)
        # A text can cost a token or two more in its message than alone: then again.
        excess = replace(parts, recalled=found.text).tokens - budget
        if excess <= 0:
            return found
        room -= excess
    return NOTHING


def flatness(scores: Sequence[float]) -> float:
    """How many pieces share the scores, of all: 1 when they are alike, near 0 when a few have it all. It is the participation ratio, the
    square of the sum over the sum of squares."""
    values = np.maximum(np.asarray(scores, dtype=np.float64), 0)
    squares = float(values @ values)
    return float(values.sum()) ** 2 / squares / len(values) if squares else 1.0


def _called_for(scores: Sequence[float]) -> float:
    """The share of the room: a message that has as much to do with one thing as with another asks for none of them."""
    return min(1.0, max(LEAST, (1 - flatness(scores)) / (1 - FLAT)))


def _left(scores: Sequence[float], parts: Parts, history: History, block: Chosen, *, asked: bool, least: int) -> list[float]:
    """The scores with -inf for what the block says already and, where a question was asked, for what has little to do with it, as
    long as `least` remain."""
    left = np.array(scores, dtype=np.float64)
    left[list(block.pieces)] = -np.inf
    if asked:
        least_of_all = each_once(history.pieces, ranked(left.tolist()), least)
        kept = left[least_of_all]
        wanted = left > RELEVANT * max(0.0, left.max(initial=0.0))
        for some, _ in _wanted(np.where(wanted, left, -np.inf).tolist(), parts, history):
            wanted[some] |= np.isfinite(left[some])
        for some in _recent_slices(parts, history):
            wanted[some] |= np.isfinite(left[some])
        left[~wanted] = -np.inf
        left[least_of_all] = kept
    rest: list[float] = left.tolist()
    return rest


def _recent_slices(parts: Parts, history: History) -> Iterator[slice]:
    """The pieces of texts that are larger than the budget and else would go whole, as they are among the newest: of these is sent what
    fits, whatever is asked."""
    pieces, costs, budget = history.pieces, parts.draft.costs, parts.draft.budget
    ends = [*pieces.first, len(pieces)][1:]
    after = list(accumulate(reversed(costs), initial=0))[::-1]
    for source, (first, end) in enumerate(zip(pieces.first, ends, strict=True)):
        unit = pieces.sources[source].unit
        if costs[unit] > budget and after[unit + 1] <= HIGH * budget:
            yield slice(first, end)


def _wanted(left: Sequence[float], parts: Parts, history: History) -> Iterator[tuple[slice, int]]:
    """The sentences and blocks that were cut further, and the texts larger than the budget, of which some piece has a score; with their
    tokens."""
    pieces, costs, budget = history.pieces, parts.draft.costs, parts.draft.budget
    ends = [*pieces.first, len(pieces)][1:]
    for source, (first, end) in enumerate(zip(pieces.first, ends, strict=True)):
        tokens = costs[pieces.sources[source].unit]
        if tokens > budget:
            found = [(slice(first, end), tokens)]
        elif source in pieces.structures:
            found = [(slice(first + some.first, first + some.end), some.tokens) for some in pieces.structures[source].wholes]
        else:
            continue
        yield from (item for item in found if any(score > -np.inf for score in left[item[0]]))


# The shape of a chat that was cut: what a provider remembers stays the same, and what is asked for
# is near the question.
#
# system text | frozen block | recent turns | what was recalled | the final turn
#
# Providers bill a prompt that begins like an earlier one at a fraction of the price
# (`evaluation.provider` has their rules). So the gist of the old part is cut once into a block that
# is the same, byte for byte, until the mark moves (`proxy.core.compression.layout`); the turns since
# then go whole; and what of the old part this one question needs comes last, where it costs no
# prefix. Nothing has to be remembered between turns: all of it follows from the chat.

# The block's share of the budget: a gist where the question brings what it needs, else most of what is kept.
GIST, BULK = 1 / 8, 1 / 2
# A block of fewer tokens says less than its heading.
LEAST_BLOCK = 64


@dataclass(frozen=True)
class Outline:
    """What is sent of a chat, and how it was found: the units before `recent` are in the two transcripts alone, whose pieces are those
    of `history`; `scores`: what each of them is worth to this question."""

    parts: Parts
    history: History
    block: Chosen
    recalled: Chosen
    scores: Sequence[float]


def outline(draft: Draft, settings: CompressionSettings, memory: Memory) -> Outline:
    """Cut a chat that exceeds its budget and whose protected messages do not. Raises what engines raise."""
    focused = settings.focus == "question" and ENGINES[settings.engine].focus is not None
    old, room = mark(draft.costs, draft.budget), draft.budget - draft.floor
    block = _block(draft, settings, memory, old, block_share(draft.budget, focused=focused) - FRAME)
    if block.tokens + FRAME > room * 3 // 4:
        block = NOTHING
    recent = _recent(draft, old, room - (block.tokens + FRAME if block.pieces else 0))
    steady = recent == old
    if not block.pieces:
        recent = _led_by_user(draft, recent)
    parts = _within(Parts(draft, recent, block.text))
    parts = replace(parts, steady=steady and parts.recent == recent)
    share = Share.of(draft.budget, draft.encoding)
    history = by_sentence(draft.chat[: parts.recent], draft.messages, settings.language, memory, share)
    asked = focused and bool(draft.question.strip())
    scores = scored(load(settings.engine, focused=asked), history)
    recalled = recall(parts, history, block, scores, asked=asked, least=settings.min_sentences - len(block.pieces))
    return Outline(replace(parts, recalled=recalled.text), history, block, recalled, scores)


def block_share(budget: int, *, focused: bool) -> int:
    """The most tokens of the block."""
    return round(budget * (GIST if focused else BULK))


def _block(draft: Draft, settings: CompressionSettings, memory: Memory, old: int, room: int) -> Chosen:
    """The gist of the units before the mark, by the engine's own ranks: the same whatever is asked, so it is remembered."""
    if room < LEAST_BLOCK or not old:
        return NOTHING
    chat, encoding = draft.chat[:old], draft.encoding

    def make() -> tuple[bytes, ...]:
        share = Share.of(draft.budget, encoding)
        history = replace(by_sentence(chat, draft.messages, settings.language, memory, share), question="")
        writer = Transcript(history.pieces, chat, draft.messages)
        block = choose(history.pieces, scored(load(settings.engine), history), room, writer, encoding)
        return block.text.encode("utf-8", "surrogatepass"), array("i", block.pieces).tobytes()

    # Version 2 of the format has no references, so equal chats are equal bytes.
    said = marshal.dumps((draft.written(chat), settings.engine, settings.language, room, draft.budget), 2)
    text, pieces = memory.remember("block", encoding, said, make)
    written = text.decode("utf-8", "surrogatepass")
    return Chosen(tuple(array("i", pieces)), written, count_text(written, encoding))


def _recent(draft: Draft, old: int, room: int) -> int:
    """The first unit that is sent whole: all after the mark where they fit, else the newest that take half of the room."""
    if sum(draft.costs[old:]) <= room:
        return old
    recent, left = draft.turn, room // 2
    while recent > old and (left := left - draft.costs[recent - 1]) >= 0:
        recent -= 1
    return recent


def _within(parts: Parts) -> Parts:
    """Stand-ins for what was left out take a few tokens too: as many units less are sent whole."""
    while parts.recent < parts.draft.turn and parts.tokens > parts.draft.budget:
        parts = replace(parts, recent=parts.recent + 1)
    return parts


def _led_by_user(draft: Draft, recent: int) -> int:
    """Where no user's message stands before, the first unit of one: a chat that began with the user still does."""
    if not draft.user_leads or any(draft.role(index) == "user" for index in range(recent) if not draft.costs[index]):
        return recent
    return next((index for index in range(recent, draft.turn) if draft.role(index) == "user"), draft.turn)
