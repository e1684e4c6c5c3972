"""What the pieces of a history cost in tokens. Each is counted when it is asked for: most never are, as the budget is full before."""

from collections.abc import Sequence

from proxy.core.compression.draft import Draft
from proxy.core.compression.history import Piece
from proxy.core.tokens import count_message, count_text, count_within


class Costs:
    """Tokens by index of the piece."""

    def __init__(self, draft: Draft, pieces: Sequence[Piece]) -> None:
        self._draft, self._pieces, self._encoding = draft, pieces, draft.encoding
        self._known: dict[int, int] = {}
        self._openings: dict[int, int] = {}

    def opening(self, unit: int) -> int:
        """What the message of a unit costs before any text; 0 for one that is taken whole."""
        cost = self._openings.get(unit)
        if cost is None:
            message = self._draft.messages[self._draft.chat[unit].messages[0]]
            cost = self._openings[unit] = count_message({**message, "content": ""}, self._encoding)
        return cost

    def of(self, index: int) -> int:
        """A piece's own tokens."""
        if index not in self._known:
            piece = self._pieces[index]
            own = self._draft.chat[piece.unit].messages
            self._known[index] = count_text(_spaced(piece), self._encoding) if piece.part >= 0 else sum(self._draft.counts[i] for i in own)
        return self._known[index]

    def whole(self, index: int) -> int:
        """A piece's tokens with the opening of its message."""
        piece = self._pieces[index]
        return self.of(index) + (self.opening(piece.unit) if piece.part >= 0 else 0)

    def within(self, index: int, limit: int) -> int | None:
        """A piece's own tokens, or None when they are more than `limit`."""
        if limit <= 0:
            return None
        piece = self._pieces[index]
        if index in self._known or piece.part < 0:
            cost = self.of(index)
            return cost if cost <= limit else None
        counted = count_within(_spaced(piece), self._encoding, limit)
        if counted is not None:
            self._known[index] = counted
        return counted


def _spaced(piece: Piece) -> str:
    """A sentence as it stands in its text: after a space, unless it is the first."""
    return f" {piece.text}" if piece.start else piece.text
