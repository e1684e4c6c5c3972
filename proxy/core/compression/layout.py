"""Lay out a compressed chat so that most of it stays in the provider's prompt cache."""

import marshal
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import numpy as np

from plans.snapshot import CompressionSettings
from proxy.core.compression.algorithm_registry import ENGINES, load_rank
from proxy.core.compression.counted_chat import CountedChat
from proxy.core.compression.document import Document, split_by_sentence
from proxy.core.compression.fragments import PieceShare
from proxy.core.compression.memo import Memo
from proxy.core.compression.rendering import OMISSION_MARK
from proxy.core.compression.selection import (
    EMPTY_SELECTION,
    Selection,
    drop_duplicates,
    rank_indices,
    score_pieces,
    select_pieces,
)
from proxy.core.compression.speakers import HISTORY_PHRASE
from proxy.core.compression.transcript import TranscriptWriter
from proxy.core.compression.units import UnitPolicy
from proxy.core.tokens import count_text
from proxy.core.types import Message

# The frozen boundary is where the old part of a chat ends. It stays for many turns, so that what
# was made of the old part stays the same.
#
# Turns accumulate after the boundary until they exceed HIGH_WATER_SHARE of the budget; then it
# moves on as far as it can with LOW_WATER_SHARE of the budget, or more, after it. It depends on the
# sizes of the earlier turns alone: any worker that sees the same chat, with or without memory of
# it, finds the same boundary.
#
# With a block of an eighth of 4,096 tokens the prefix has about 1,024 to 1,664 tokens: most
# providers cache none of less than 1,024.

LOW_WATER_SHARE, HIGH_WATER_SHARE = 4 / 32, 9 / 32


def frozen_boundary(costs: Sequence[int], budget: int) -> int:
    """Return how many of the units are old.

    `costs`: tokens of each unit in chat order; a protected one counts as 0.
    """
    low, high = LOW_WATER_SHARE * budget, HIGH_WATER_SHARE * budget
    old = gathered = 0
    for cost in costs:
        gathered += cost
        if gathered > high:
            # A turn that exceeds the high water alone becomes old at once.
            while gathered > high or (gathered > low and gathered - costs[old] >= low):
                gathered -= costs[old]
                old += 1
    return old


BLOCK_HEADING = f"[{HISTORY_PHRASE.capitalize()}, shortened; {OMISSION_MARK} is what was left out]"
RETRIEVAL_HEADING = (
    f"[From {HISTORY_PHRASE}, for the message that follows; {OMISSION_MARK} is what was left out]"
)
# The most tokens around a transcript: its heading and role, and an answer before and after it.
MAX_FRAME_TOKENS = 40


@dataclass(frozen=True)
class PromptParts:
    """The parts of a compressed prompt.

    Units from `recent_start` on are sent whole, of those before it only protected ones.
    """

    chat: CountedChat
    recent_start: int
    # Transcripts, or empty.
    block_text: str = ""
    retrieved_text: str = ""
    # Whether `recent_start` moves only with the frozen boundary.
    is_boundary_kept: bool = True

    @cached_property
    def messages(self) -> list[Message]:
        """The messages to send; unchanged ones are the same objects that came in."""
        recalled = _build_transcript_message(RETRIEVAL_HEADING, self.retrieved_text)
        sent = (
            *self._old_messages,
            *self._recent_messages,
            *recalled,
            *self.chat.list_messages(self.chat.units[self.chat.final_turn_start :]),
        )
        return self.chat.restore_role_order(sent, [*self._block_messages, *recalled])

    @cached_property
    def stable_prefix_messages(self) -> int:
        """How many leading messages the next turn shares, unless the frozen boundary moves."""
        return len(
            self.chat.restore_role_order(
                [*self._old_messages, *(self._recent_messages if self.is_boundary_kept else ())],
                self._block_messages,
            )
        )

    @cached_property
    def total_tokens(self) -> int:
        """Tokens of all messages, as billed."""
        return self.chat.count_prompt_tokens(self.messages)

    @cached_property
    def _block_messages(self) -> list[Message]:
        return _build_transcript_message(BLOCK_HEADING, self.block_text)

    @cached_property
    def _old_messages(self) -> list[Message]:
        """The messages sent for the units before the recent ones."""
        return [
            *self.chat.list_messages(
                [
                    unit
                    for unit in self.chat.units[: self.recent_start]
                    if unit.policy is UnitPolicy.PROTECTED
                ]
            ),
            *self._block_messages,
        ]

    @cached_property
    def _recent_messages(self) -> list[Message]:
        return self.chat.list_messages(
            self.chat.units[self.recent_start : self.chat.final_turn_start]
        )


def _build_transcript_message(head: str, text: str) -> list[Message]:
    return [{"role": "user", "content": f"{head}\n{text}"}] if text else []


# Retrieval: what of the old part of a chat is sent for this one question. It costs its full price
# in every turn, so a question gets what it needs, and "yes please" next to nothing.
#
# The most that is retrieved, of the budget, and the lowest score retrieved, of the best.

# So much of the budget at most, and nothing that is worth less than this share of the best.
MAX_RETRIEVED_SHARE, MIN_RELATIVE_SCORE = 3 / 4, 0.1
# From this participation ratio down, retrieval has its whole share; above it less, down to the
# second.
FLAT_RATIO, MIN_RETRIEVED_SHARE = 0.55, 0.5


def retrieve(
    parts: PromptParts,
    history: Document,
    block: Selection,
    scores: Sequence[float],
    *,
    asked: bool,
    least: int,
) -> Selection:
    """Select the best pieces that the block does not contain, as many as fit.

    At least `least` where so many fit. `asked`: the scores are for a question.
    """
    budget = parts.chat.budget_tokens
    left = _mask_unwanted_scores(scores, parts, history, block, asked=asked, least=least)
    share = MAX_RETRIEVED_SHARE * (_retrieval_room_share(scores) if asked else 1)
    room = budget - replace(parts, retrieved_text=OMISSION_MARK).total_tokens
    # What would have been kept whole had it been shorter is kept as far as it fits.
    if not any(
        tokens > budget * MAX_RETRIEVED_SHARE
        for _, tokens in _iter_wanted_slices(left, parts, history)
    ):
        room = min(room, round(budget * share))
    writer = TranscriptWriter(history.pieces, parts.chat.units, parts.chat.messages)
    while room > 0:
        found = select_pieces(history.pieces, left, room, writer, parts.chat.encoding, least=least)
        # A text can cost a token or two more in its message than alone: then select again.
        excess = replace(parts, retrieved_text=found.text).total_tokens - budget
        if excess <= 0:
            return found
        room -= excess
    return EMPTY_SELECTION


def participation_ratio(scores: Sequence[float]) -> float:
    """Return the share of pieces that hold the scores: 1 if all are equal, near 0 if few have all.

    The participation ratio: the square of the sum over the sum of squares, per piece.
    """
    values = np.maximum(np.asarray(scores, dtype=np.float64), 0)
    squares = float(values @ values)
    return float(values.sum()) ** 2 / squares / len(values) if squares else 1.0


def _retrieval_room_share(scores: Sequence[float]) -> float:
    """Return the share of the room to use, less the flatter the scores are."""
    # A question as related to one thing as to any other needs none of them.
    return min(1.0, max(MIN_RETRIEVED_SHARE, (1 - participation_ratio(scores)) / (1 - FLAT_RATIO)))


def _mask_unwanted_scores(
    scores: Sequence[float],
    parts: PromptParts,
    history: Document,
    block: Selection,
    *,
    asked: bool,
    least: int,
) -> list[float]:
    """Return the scores with -inf for pieces in the block and, given a question, unrelated ones.

    At least `least` remain.
    """
    left = np.array(scores, dtype=np.float64)
    left[list(block.pieces)] = -np.inf
    if asked:
        least_of_all = drop_duplicates(history.pieces, rank_indices(left.tolist()), least)
        kept = left[least_of_all]
        wanted = left > MIN_RELATIVE_SCORE * max(0.0, left.max(initial=0.0))
        for some, _ in _iter_wanted_slices(
            np.where(wanted, left, -np.inf).tolist(), parts, history
        ):
            wanted[some] |= np.isfinite(left[some])
        for some in _iter_recent_slices(parts, history):
            wanted[some] |= np.isfinite(left[some])
        left[~wanted] = -np.inf
        left[least_of_all] = kept
    rest: list[float] = left.tolist()
    return rest


def _iter_recent_slices(parts: PromptParts, history: Document) -> Iterator[slice]:
    """Yield the pieces of texts above the budget that are among the newest."""
    # Were they smaller they would be sent whole: as much as fits is sent, whatever the question.
    pieces, costs, budget = history.pieces, parts.chat.unit_tokens, parts.chat.budget_tokens
    ends = [*pieces.first_pieces, len(pieces)][1:]
    after = list(accumulate(reversed(costs), initial=0))[::-1]
    for source, (first, end) in enumerate(zip(pieces.first_pieces, ends, strict=True)):
        unit = pieces.sources[source].unit
        if costs[unit] > budget and after[unit + 1] <= HIGH_WATER_SHARE * budget:
            yield slice(first, end)


def _iter_wanted_slices(
    left: Sequence[float], parts: PromptParts, history: Document
) -> Iterator[tuple[slice, int]]:
    """Yield split sentences and blocks, and texts above the budget, with a scored piece.

    Each with its tokens.
    """
    pieces, costs, budget = history.pieces, parts.chat.unit_tokens, parts.chat.budget_tokens
    ends = [*pieces.first_pieces, len(pieces)][1:]
    for source, (first, end) in enumerate(zip(pieces.first_pieces, ends, strict=True)):
        tokens = costs[pieces.sources[source].unit]
        if tokens > budget:
            found = [(slice(first, end), tokens)]
        elif source in pieces.structures:
            found = [
                (slice(first + some.first, first + some.end), some.tokens)
                for some in pieces.structures[source].wholes
            ]
        else:
            continue
        yield from (item for item in found if any(score > -np.inf for score in left[item[0]]))


# The shape of a compressed chat: what a provider caches stays the same, and what is retrieved is
# near the question.
#
#     system text | frozen block | recent turns | what was retrieved | the final turn
#
# Providers bill a prompt that begins like an earlier one at a fraction of the price
# (`evaluation.provider` has their rules). So a gist of the old part is selected once into a block
# that is the same, byte for byte, until the frozen boundary moves; the turns since then are sent
# whole; and what this one question needs of the old part comes last, where it breaks no prefix. No
# state is needed between turns: all of it follows from the chat.

# The block's share of the budget: a gist if the question retrieves what it needs, else most of what
# is kept.
GIST_SHARE, BULK_SHARE = 1 / 8, 1 / 2
# A block of fewer tokens says less than its heading.
MIN_BLOCK_TOKENS = 64


@dataclass(frozen=True)
class PromptLayout:
    """The parts of a compressed prompt, and how they were found.

    `document` holds the units before `recent_start`, which only the two transcripts quote.
    """

    parts: PromptParts
    document: Document
    block: Selection
    retrieved: Selection
    # Of the document's pieces, for this question.
    scores: Sequence[float]


def build_layout(draft: CountedChat, settings: CompressionSettings, memory: Memo) -> PromptLayout:
    """Lay out a chat that exceeds its budget and whose protected messages do not.

    Raises what engines raise.
    """
    focused = settings.focus == "question" and ENGINES[settings.engine].focus is not None
    old, room = (
        frozen_boundary(draft.unit_tokens, draft.budget_tokens),
        draft.budget_tokens - draft.protected_tokens,
    )
    block = _build_block(
        draft,
        settings,
        memory,
        old,
        max_block_tokens(draft.budget_tokens, focused=focused) - MAX_FRAME_TOKENS,
    )
    if block.tokens + MAX_FRAME_TOKENS > room * 3 // 4:
        block = EMPTY_SELECTION
    recent = _find_recent_start(
        draft, old, room - (block.tokens + MAX_FRAME_TOKENS if block.pieces else 0)
    )
    steady = recent == old
    if not block.pieces:
        recent = _advance_to_user(draft, recent)
    parts = _fit_to_budget(PromptParts(draft, recent, block.text))
    parts = replace(parts, is_boundary_kept=steady and parts.recent_start == recent)
    share = PieceShare.for_budget(draft.budget_tokens, draft.encoding)
    history = split_by_sentence(
        draft.units[: parts.recent_start], draft.messages, settings.language, memory, share
    )
    asked = focused and bool(draft.question.strip())
    scores = score_pieces(load_rank(settings.engine, focused=asked), history)
    recalled = retrieve(
        parts, history, block, scores, asked=asked, least=settings.min_sentences - len(block.pieces)
    )
    return PromptLayout(
        replace(parts, retrieved_text=recalled.text), history, block, recalled, scores
    )


def max_block_tokens(budget: int, *, focused: bool) -> int:
    """Return the most tokens of the block."""
    return round(budget * (GIST_SHARE if focused else BULK_SHARE))


def _build_block(
    draft: CountedChat, settings: CompressionSettings, memory: Memo, old: int, room: int
) -> Selection:
    """Select the gist of the units before the frozen boundary by the engine's own ranks."""
    if room < MIN_BLOCK_TOKENS or not old:
        return EMPTY_SELECTION
    chat, encoding = draft.units[:old], draft.encoding

    # The same for every question, so it is memoized.
    def make() -> tuple[bytes, ...]:
        share = PieceShare.for_budget(draft.budget_tokens, encoding)
        history = replace(
            split_by_sentence(chat, draft.messages, settings.language, memory, share), question=""
        )
        writer = TranscriptWriter(history.pieces, chat, draft.messages)
        block = select_pieces(
            history.pieces,
            score_pieces(load_rank(settings.engine), history),
            room,
            writer,
            encoding,
        )
        return block.text.encode("utf-8", "surrogatepass"), array("i", block.pieces).tobytes()

    # Version 2 of the format has no references, so equal chats are equal bytes.
    said = marshal.dumps(
        (draft.list_messages(chat), settings.engine, settings.language, room, draft.budget_tokens),
        2,
    )
    text, pieces = memory.get_or_compute("block", encoding, said, make)
    written = text.decode("utf-8", "surrogatepass")
    return Selection(tuple(array("i", pieces)), written, count_text(written, encoding))


def _find_recent_start(draft: CountedChat, old: int, room: int) -> int:
    """Return the first unit sent whole: all after the frozen boundary if they fit.

    Else the newest that take half of the room.
    """
    if sum(draft.unit_tokens[old:]) <= room:
        return old
    recent, left = draft.final_turn_start, room // 2
    while recent > old and (left := left - draft.unit_tokens[recent - 1]) >= 0:
        recent -= 1
    return recent


def _fit_to_budget(parts: PromptParts) -> PromptParts:
    """Send fewer units whole until the prompt, with its placeholders, is within the budget."""
    while (
        parts.recent_start < parts.chat.final_turn_start
        and parts.total_tokens > parts.chat.budget_tokens
    ):
        parts = replace(parts, recent_start=parts.recent_start + 1)
    return parts


def _advance_to_user(draft: CountedChat, recent: int) -> int:
    """Return the first user unit from `recent` on, unless a user message is sent before it."""
    # A chat that began with the user still must.
    if not draft.starts_with_user or any(
        draft.get_unit_role(index) == "user"
        for index in range(recent)
        if not draft.unit_tokens[index]
    ):
        return recent
    return next(
        (
            index
            for index in range(recent, draft.final_turn_start)
            if draft.get_unit_role(index) == "user"
        ),
        draft.final_turn_start,
    )
