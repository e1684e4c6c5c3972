"""Cut a chat by whole messages, for the engines that rank those."""

from collections.abc import Container
from dataclasses import dataclass, field, replace

from plans.snapshot import CompressionSettings
from proxy.core.compression.catalogue import load
from proxy.core.compression.choose import fill, ranked, scored
from proxy.core.compression.draft import Draft
from proxy.core.compression.excerpt import LEAST_EXCERPT, Excerpt, excerpt, shares, texts_of, with_texts
from proxy.core.compression.history import by_message
from proxy.core.compression.roles import taker
from proxy.core.compression.turns import Keep, Unit
from proxy.core.ports import Message
from proxy.core.tokens import count_message


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
