"""Cut a chat by whole messages, for the engines that rank those."""

from collections.abc import Container

from plans.snapshot import CompressionSettings
from proxy.core.compression.catalogue import load
from proxy.core.compression.choose import fill, ranked, scored
from proxy.core.compression.draft import Draft
from proxy.core.compression.history import by_message
from proxy.core.compression.roles import taker
from proxy.core.compression.turns import Keep, Unit
from proxy.core.ports import Message


def whole_messages(draft: Draft, settings: CompressionSettings) -> tuple[list[Message], int]:
    """The messages of the units with the highest scores, in the order of the chat and within the budget, and their tokens."""
    history = by_message(draft.chat, draft.messages, settings.language)
    scores = scored(load(settings.engine), history)

    def cost(index: int, room: int) -> int | None:
        tokens = draft.cost(draft.chat[history.pieces[index].unit])
        return tokens if tokens <= room else None

    taken = [history.pieces[index].unit for index in fill(ranked(scores), draft.budget - draft.floor, cost)]
    fewer = 1
    while True:
        sent = draft.in_turn(draft.written(_in_pairs(draft, set(taken))))
        tokens = draft.tokens(sent)
        if tokens <= draft.budget or not taken:
            return sent, tokens
        # Stand-ins for what was left out take a few tokens too: the last ones give way, more of them each time.
        del taken[-fewer:]
        fewer *= 2


def _in_pairs(draft: Draft, kept: Container[int]) -> list[Unit]:
    """The units kept and the protected ones. A chat that took turns loses the questions without an answer and the answers without a
    question, one that began with the user whatever comes before the user's first message."""
    left: list[Unit] = []
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
        if draft.alternates and turn == last == "user" and not any(some.keep is Keep.PROTECTED for some in left[place:]):
            del left[place:]
            turns.pop()
        if turn:
            turns.append((turn, len(left)))
        left.append(unit)
    return left
