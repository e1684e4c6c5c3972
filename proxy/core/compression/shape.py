"""The shape of a chat that was cut: what a provider remembers stays the same, and what is asked for is near the question.

    system text | frozen block | recent turns | what was recalled | the final turn

Providers bill a prompt that begins like an earlier one at a fraction of the price (`evaluation.provider` has their rules). So the gist of
the old part is cut once into a block that is the same, byte for byte, until the mark moves (`proxy.core.compression.mark`); the turns
since then go whole; and what of the old part this one question needs comes last, where it costs no prefix. Nothing has to be remembered
between turns: all of it follows from the chat.
"""

import marshal
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace

from plans.snapshot import CompressionSettings
from proxy.core.compression.catalogue import ENGINES, load
from proxy.core.compression.choose import NOTHING, Chosen, choose, scored
from proxy.core.compression.draft import Draft
from proxy.core.compression.fragments import Share
from proxy.core.compression.history import History, by_sentence
from proxy.core.compression.mark import mark
from proxy.core.compression.memory import Memory
from proxy.core.compression.parts import FRAME, Parts
from proxy.core.compression.recall import recall
from proxy.core.compression.transcript import Transcript
from proxy.core.tokens import count_text

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
