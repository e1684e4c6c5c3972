"""Cut a chat by whole messages, for the engines that rank those."""

from plans.snapshot import CompressionSettings
from proxy.core.compression.catalogue import load
from proxy.core.compression.choose import fill, ranked, scored
from proxy.core.compression.draft import Draft
from proxy.core.compression.history import by_message
from proxy.core.compression.turns import Keep
from proxy.core.ports import Message


def whole_messages(draft: Draft, settings: CompressionSettings) -> tuple[list[Message], int]:
    """The messages of the units with the highest scores, in the order of the chat and within the budget, and their tokens."""
    history = by_message(draft.chat, draft.messages, settings.language)
    scores = scored(load(settings.engine), history)

    def cost(index: int, room: int) -> int | None:
        tokens = draft.cost(draft.chat[history.pieces[index].unit])
        return tokens if tokens <= room else None

    taken = fill(ranked(scores), draft.budget - draft.floor, cost)
    kept = {history.pieces[index].unit for index in taken}
    chat = [unit for index, unit in enumerate(draft.chat) if index in kept or unit.keep is Keep.PROTECTED]
    return draft.written(chat), draft.floor + sum(draft.cost(draft.chat[unit]) for unit in kept)
