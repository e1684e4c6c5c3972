"""Compress a chat to a budget of input tokens: the entry point of this package."""

import logging
import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from plans.snapshot import CompressionSettings
from proxy.core.compression.algorithm_registry import ENGINES, load_rank
from proxy.core.compression.break_even import LayoutSizes, compression_pays
from proxy.core.compression.counted_chat import CountedChat
from proxy.core.compression.document import DocumentTooLong, split_by_message
from proxy.core.compression.excerpt import (
    MIN_EXCERPT_TOKENS,
    Excerpt,
    allot_tokens,
    build_excerpt,
    iter_texts,
    replace_texts,
)
from proxy.core.compression.layout import build_layout
from proxy.core.compression.memo import Memo
from proxy.core.compression.reasoning import shorten_old_reasoning
from proxy.core.compression.results import CompressionResult, CompressionTerms
from proxy.core.compression.selection import fill_room, rank_indices, score_pieces
from proxy.core.compression.units import (
    Unit,
    UnitPolicy,
    find_final_turn,
    get_turn_role,
    split_units,
)
from proxy.core.tokens import (
    REPLY_PRIMING_TOKENS,
    count_message_tokens,
    count_prompt_tokens,
    find_encoding,
)
from proxy.core.types import Message

logger = logging.getLogger(__name__)
FALLBACK_ENGINE = "trim"
CHEAPER_WHOLE_NOTE = "cheaper-whole"
# Sentence splitting is linear but not free, 0.3 us a byte and some 7 us at worst: above this
# (250,000 tokens of prose) only `trim` runs.
MAX_BYTES = 1_000_000
# Reading a message or content part, however short, takes as long as reading this many bytes: 30 us.
BYTES_PER_TEXT = 32
# 16 KB are counted in a quarter of a millisecond.
MAX_QUICK_BYTES = 16_384


def compress(
    messages: list[Message],
    settings: CompressionSettings,
    *,
    model: str,
    memory: Memo | None = None,
    terms: CompressionTerms | None = None,
) -> CompressionResult:
    """Compress a chat to `max_input_tokens` as billed for `model`, keeping protected messages.

    The other messages are chosen by the engine's ranks. Nothing is changed in a chat within the
    budget, nor under `when: saves` in one that is cheaper whole by the terms (note `cheaper-whole`;
    without terms it is compressed). If the protected messages alone exceed the budget, only they
    are sent (`protected-exceeds-budget`). An engine that fails (`too-long-for-<engine>`,
    `engine-failed`) is replaced by `trim`. `memory` speeds up messages seen before.
    """
    encoding, _ = find_encoding(model)
    memory = memory or Memo()
    counts = [count_message_tokens(message, encoding, memory.count_tokens) for message in messages]
    before = REPLY_PRIMING_TOKENS + sum(counts)
    whole = CompressionResult(
        messages=None, before=before, after=before, engine=settings.engine, encoding=encoding
    )
    if before <= settings.max_input_tokens:
        return whole
    draft = build_counted_chat(messages, counts, settings, encoding, memory)
    if draft.protected_tokens > draft.budget_tokens:
        cut = draft.protected_messages if draft.protected_messages != messages else None
        return replace(
            whole, messages=cut, after=draft.protected_tokens, note="protected-exceeds-budget"
        )
    (kept, after, recalled, stable), engine, note = _drop_reasoning_only(draft) or _run_engine(
        draft, settings, memory
    )
    if (
        settings.when == "saves"
        and terms is not None
        and not compression_pays(
            count_tokens_by_turn(messages, counts),
            _measure_layout(messages, counts, settings),
            terms,
        )
    ):
        return replace(whole, note=CHEAPER_WHOLE_NOTE, retrieved_tokens=recalled)
    return replace(
        whole,
        messages=kept,
        after=after,
        engine=engine or settings.engine,
        note=note,
        retrieved_tokens=recalled,
        stable_prefix_messages=stable,
    )


def build_counted_chat(
    messages: list[Message],
    counts: list[int],
    settings: CompressionSettings,
    encoding: str,
    memory: Memo,
) -> CountedChat:
    """Build the chat to compress, its old reasoning shortened.

    `counts`: tokens of the messages as they came.
    """
    chat = split_units(messages)
    light = shorten_old_reasoning(messages, chat)
    lighter = [
        count if message is before else count_message_tokens(message, encoding, memory.count_tokens)
        for message, before, count in zip(light, messages, counts, strict=True)
    ]
    return CountedChat(
        light,
        chat,
        find_final_turn(messages, chat),
        lighter,
        encoding,
        settings.max_input_tokens,
        memory.count_tokens,
    )


def check_within_budget(
    messages: list[Message], settings: CompressionSettings, *, model: str
) -> CompressionResult | None:
    """Return the result for a chat quickly seen to be within the budget, else None.

    Takes well under a millisecond: a chat above 16 KB is not counted.
    """
    if count_text_bytes(messages, enough=MAX_QUICK_BYTES) > MAX_QUICK_BYTES:
        return None
    encoding, _ = find_encoding(model)
    before = count_prompt_tokens(messages, encoding)
    if before > settings.max_input_tokens:
        return None
    return CompressionResult(
        messages=None, before=before, after=before, engine=settings.engine, encoding=encoding
    )


def count_text_bytes(value: object, *, enough: float = math.inf) -> int:
    """Count the UTF-8 bytes of all strings inside `value`, stopping above `enough`.

    Stops after `enough` containers too.
    """
    found, seen, left = 0, 0, [value]
    while left:
        seen += 1
        if found > enough or seen > enough:
            return max(found, seen)
        inner = left.pop()
        # Texts are read in place: most values are texts, and queueing them costs more than reading.
        for item in (
            inner.values()
            if isinstance(inner, dict)
            else inner
            if isinstance(inner, list)
            else (inner,)
        ):
            if isinstance(item, str):
                found += len(item) if item.isascii() else len(item.encode("utf-8", "surrogatepass"))
            elif isinstance(item, dict | list):
                left.append(item)
    return found


def count_tokens_by_turn(messages: list[Message], counts: Sequence[int]) -> list[int]:
    """Return the tokens of the whole prompt at each turn of a chat so far.

    A turn ends with a user message that was answered, or with the last message.
    """
    ends = [index for index, message in enumerate(messages) if message.get("role") == "user"]
    turns = [
        index
        for index, following in zip(ends, [*ends[1:], -1], strict=True)
        if following != index + 1
    ]
    sums = list(accumulate(counts, initial=REPLY_PRIMING_TOKENS))
    return [sums[index + 1] for index in turns[:-1]] + [sums[-1]]


def _measure_layout(
    messages: list[Message], counts: Sequence[int], settings: CompressionSettings
) -> LayoutSizes:
    """Return the sizes a chat is compressed to, its system text counted."""
    lead = next(
        (
            index
            for index, message in enumerate(messages)
            if message.get("role") not in ("system", "developer")
        ),
        0,
    )
    return LayoutSizes.for_settings(settings, head=sum(counts[:lead]))


def _drop_reasoning_only(
    draft: CountedChat,
) -> tuple[tuple[list[Message], int, int, int], str, str] | None:
    """Return a result as `_run_engine` does if dropping old reasoning alone fits, else None."""
    if not draft.is_within_budget:
        return None
    before = (
        draft.units[draft.final_turn_start].message_indices[0]
        if draft.final_turn_start < len(draft.units)
        else len(draft.messages)
    )
    return (draft.messages, draft.total_tokens, 0, before), "", ""


def _run_engine(
    draft: CountedChat, settings: CompressionSettings, memory: Memo
) -> tuple[tuple[list[Message], int, int, int], str, str]:
    """Compress with the plan's engine or `trim`; return the result, the engine used and a note."""
    try:
        return _compress_with(settings, draft, memory), settings.engine, ""
    except DocumentTooLong:
        note = f"too-long-for-{settings.engine}"
    except Exception as error:
        # Its message could quote the prompt.
        logger.warning("compression engine %s failed: %s", settings.engine, type(error).__name__)
        note = "engine-failed"
    return (
        _compress_with(replace(settings, engine=FALLBACK_ENGINE), draft, memory),
        FALLBACK_ENGINE,
        note,
    )


def _compress_with(
    settings: CompressionSettings, draft: CountedChat, memory: Memo
) -> tuple[list[Message], int, int, int]:
    """Return the messages kept, their tokens, those retrieved and the stable prefix's messages."""
    if ENGINES[settings.engine].grain == "message":
        kept = select_whole_messages(draft, settings)
        return kept.messages, kept.tokens, kept.tokens, 0
    if sum(_estimate_unit_bytes(unit, draft.messages) for unit in draft.units) > MAX_BYTES:
        raise DocumentTooLong
    found = build_layout(draft, settings, memory)
    return (
        found.parts.messages,
        found.parts.total_tokens,
        found.retrieved.tokens,
        found.parts.stable_prefix_messages,
    )


def _estimate_unit_bytes(unit: Unit, messages: list[Message]) -> int:
    """Estimate the work to read a unit that may be compressed, in bytes."""
    if unit.policy is UnitPolicy.PROTECTED:
        return 0
    contents = (messages[i].get("content") for i in unit.message_indices)
    texts = sum(len(content) if isinstance(content, list) else 1 for content in contents)
    return BYTES_PER_TEXT * texts + sum(count_text_bytes(messages[i]) for i in unit.message_indices)


@dataclass(frozen=True)
class WholeMessageResult:
    """The messages kept by an engine that ranks whole messages, and how they were chosen."""

    messages: list[Message]
    tokens: int
    # By unit.
    scores: dict[int, float]
    # Units sent whole or as an excerpt.
    kept_units: frozenset[int] = frozenset()
    # By message and content part.
    excerpts: dict[tuple[int, int], Excerpt] = field(default_factory=dict)


def select_whole_messages(draft: CountedChat, settings: CompressionSettings) -> WholeMessageResult:
    """Return the messages of the units with the highest scores that fit, in chat order.

    The best unit that is too large is shortened in its middle if there is room left.
    """
    history = split_by_message(draft.units, draft.messages, settings.language)
    scores = score_pieces(load_rank(settings.engine), history)
    by_unit = {history.pieces[index].unit: score for index, score in enumerate(scores)}

    def cost(index: int, room: int) -> int | None:
        tokens = draft.count_unit_tokens(draft.units[history.pieces[index].unit])
        return tokens if tokens <= room else None

    order = rank_indices(scores)
    taken = [
        history.pieces[index].unit
        for index in fill_room(order, draft.budget_tokens - draft.protected_tokens, cost)
    ]
    found = _fit_to_budget(draft, taken, by_unit)
    rest = [
        unit for unit in (history.pieces[index].unit for index in order) if unit not in set(taken)
    ]
    return _add_excerpt(draft, settings, taken, rest, found) or found


def _fit_to_budget(
    draft: CountedChat, taken: list[int], scores: dict[int, float]
) -> WholeMessageResult:
    fewer = 1
    while True:
        left = _keep_turn_pairs(draft, set(taken))
        sent = draft.restore_role_order(draft.list_messages([draft.units[index] for index in left]))
        tokens = draft.count_prompt_tokens(sent)
        if tokens <= draft.budget_tokens or not taken:
            return WholeMessageResult(sent, tokens, scores, frozenset(left))
        # Placeholders for what was left out take a few tokens too: the last units are dropped, more
        # of them each time.
        taken = taken[:-fewer]
        fewer *= 2


# Units that are tried for an excerpt: the ones ranked below matter little.
_MAX_EXCERPT_TRIES = 8


def _add_excerpt(
    draft: CountedChat,
    settings: CompressionSettings,
    taken: list[int],
    rest: list[int],
    found: WholeMessageResult,
) -> WholeMessageResult | None:
    """Add an excerpt of the best unit that has one; None if there is none or no room."""
    # Units that `_fit_to_budget` dropped as unpaired may fit with it: the one that was too large
    # may be the message they answer.
    room = (
        draft.budget_tokens
        - draft.protected_tokens
        - sum(draft.count_unit_tokens(draft.units[unit]) for unit in taken)
    )
    for unit in rest[:_MAX_EXCERPT_TRIES]:
        if room < MIN_EXCERPT_TOKENS or draft.count_unit_tokens(draft.units[unit]) <= room:
            continue
        made = _build_excerpts(draft, settings, draft.units[unit], room)
        if not made:
            continue
        messages, counts = list(draft.messages), list(draft.message_tokens)
        for index in {index for index, _ in made}:
            messages[index] = replace_texts(
                messages[index],
                {part: some.text for (of, part), some in made.items() if of == index},
            )
            counts[index] = count_message_tokens(messages[index], draft.encoding)
        cut = _fit_to_budget(
            replace(draft, messages=messages, message_tokens=counts), [unit, *taken], found.scores
        )
        if unit in cut.kept_units and cut.tokens > found.tokens:
            return replace(cut, excerpts=made)
    return None


def _build_excerpts(
    draft: CountedChat, settings: CompressionSettings, unit: Unit, room: int
) -> dict[tuple[int, int], Excerpt]:
    """Shorten the texts of a unit to fit the room; empty if that is impossible."""
    rank = load_rank(settings.engine)
    texts = [
        (index, part, text)
        for index in unit.message_indices
        for part, text in iter_texts(draft.messages[index])
    ]
    counts = [draft.token_counter(text, draft.encoding) for _, _, text in texts]
    around = draft.count_unit_tokens(unit) - sum(counts)
    found: dict[tuple[int, int], Excerpt] = {}
    for (index, part, text), tokens, share in zip(
        texts, counts, allot_tokens(counts, max(0, room - around)), strict=True
    ):
        if share < tokens:
            some = build_excerpt(text, share, draft.encoding, rank, settings.language)
            if some is None:
                return {}
            found[index, part] = some
    return found


def _keep_turn_pairs(draft: CountedChat, kept: Container[int]) -> list[int]:
    """Return the kept and the protected units, without halves of a turn.

    A chat of alternating turns loses questions without an answer and answers without a question;
    one that began with the user loses what precedes the user's first kept message.
    """
    left: list[int] = []
    turns = [("", 0)]  # (role, index in `left`)
    begun = not draft.starts_with_user
    for index, unit in enumerate(draft.units):
        if index not in kept and unit.policy is not UnitPolicy.PROTECTED:
            continue
        message = draft.messages[unit.message_indices[0]]
        turn, (last, place) = get_turn_role(message), turns[-1]
        if unit.policy is not UnitPolicy.PROTECTED:
            begun = begun or turn == "user"
            if not begun or (draft.has_alternating_turns and turn == last == "assistant"):
                continue
        if (
            draft.has_alternating_turns
            and turn == last == "user"
            and not any(draft.units[some].policy is UnitPolicy.PROTECTED for some in left[place:])
        ):
            del left[place:]
            turns.pop()
        if turn:
            turns.append((turn, len(left)))
        left.append(index)
    return left
