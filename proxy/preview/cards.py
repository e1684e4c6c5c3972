"""Prepare a preview for display: the original chat in cards, and the messages to send."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from proxy.core.compression.layout import BLOCK_HEADING, RETRIEVAL_HEADING
from proxy.core.compression.preview import Place, Preview, PreviewSpan
from proxy.core.compression.speakers import collect_labels, get_speaker, write_unit_text
from proxy.core.compression.units import (
    ASSISTANT_PLACEHOLDER,
    REASONING_PLACEHOLDER,
    USER_PLACEHOLDER,
    Unit,
    UnitPolicy,
    list_part_texts,
)
from proxy.core.types import Message

# place -> label and explanation
PLACE_LABELS: dict[Place, tuple[str, str]] = {
    "protected": (
        "Protected",
        "sent as it is: system text, the final question, marked for the provider's cache",
    ),
    "recent": ("Recent", "sent whole: the newest turns before the question"),
    "whole": ("Whole", "sent whole"),
    "shortened": ("Shortened", "kept of a message that was too large and was cut in its middle"),
    "block": (
        "Gist",
        (
            "a summary of the old part that stays the same for many turns, so that the "
            "provider's cache stays warm"
        ),
    ),
    "recalled": ("Recalled", "looked up in the old part for this question"),
    "left out": ("Left out", "not sent"),
}
# Most rows of the table of scores.
MAX_SCORE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Stretch:
    """A run of text in a card."""

    text: str
    # The place as a CSS class, "" for white space between pieces.
    kind: str = ""
    tip: str = ""
    # Its row in the table of scores.
    number: int | None = None


@dataclass(frozen=True, slots=True)
class MessageCard:
    """A message, or several that are kept or dropped together."""

    # "7" or "7-9", "" for one that the gateway wrote.
    number: str
    speaker: str
    label: str
    kind: str
    stretches: list[Stretch] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A scored piece in the table of scores."""

    number: int
    span: PreviewSpan
    label: str
    kind: str


def build_asked_cards(messages: list[Message], preview: Preview) -> list[MessageCard]:
    """Build the cards of the original chat."""
    cards = []
    for (first, last), some in groupby(
        enumerate(preview.spans), key=lambda item: (item[1].message, item[1].last_message)
    ):
        pieces = list(some)
        stretches, places = (
            list(_iter_stretches(_list_source_texts(messages, pieces[0][1]), pieces)),
            {shown.place for _, shown in pieces},
        )
        who = get_speaker(messages[first]) if first == last else "Tools"
        cards.append(
            MessageCard(
                _format_message_numbers(first, last),
                who,
                _format_label(places),
                _choose_css_class(places),
                stretches,
            )
        )
    return cards


def build_sent_cards(messages: list[Message], preview: Preview) -> list[MessageCard]:
    """Build the cards of the messages that would be sent."""
    index = {id(message): place for place, message in enumerate(messages)}
    places: dict[int, Place] = {}
    for shown in preview.spans:
        for number in range(shown.message, shown.last_message + 1):
            places[number] = "shortened" if places.get(number) == "shortened" else shown.place
    cards = []
    last = -1
    for message in (
        messages if preview.compression.messages is None else preview.compression.messages
    ):
        at = index.get(id(message))
        if at is None:
            at = _find_source_message(message, messages, places, last + 1)
        last = last if at is None else at
        place = _find_gateway_place(message) if at is None else places.get(at, "protected")
        label = PLACE_LABELS[place][0] if place else "Stand-in"
        numbered = "" if at is None else str(at + 1)
        text = (
            _get_content_text(message)
            if at is None or isinstance(message.get("content"), str)
            else write_unit_text(Unit((0,), UnitPolicy.WHOLE), [message])
        )
        cards.append(
            MessageCard(
                numbered,
                get_speaker(message),
                label,
                _to_css_class(place or "stand-in"),
                [Stretch(text)],
            )
        )
    return cards


def build_score_rows(preview: Preview) -> list[ScoreRow]:
    """Return the pieces with the highest scores."""
    judged = [
        (number, shown) for number, shown in enumerate(preview.spans) if shown.rank is not None
    ]
    judged.sort(key=lambda item: item[1].rank or 0)
    return [
        ScoreRow(number, shown, PLACE_LABELS[shown.place][0], _to_css_class(shown.place))
        for number, shown in judged[:MAX_SCORE_ROWS]
    ]


def _list_source_texts(messages: list[Message], shown: PreviewSpan) -> list[str]:
    """Return the texts a piece is part of, by content part, or the text of its unit."""
    if shown.part is not None:
        return list_part_texts(messages[shown.message])
    said = write_unit_text(
        Unit(tuple(range(shown.message, shown.last_message + 1)), UnitPolicy.WHOLE),
        messages,
        collect_labels(messages),
    )
    # Speaker lines may be quoted here that were not where only a part of the chat was read.
    return [said if said[shown.start : shown.end] == shown.text else ""]


def _iter_stretches(
    said: list[str], pieces: Sequence[tuple[int, PreviewSpan]]
) -> Iterator[Stretch]:
    """Yield the pieces of a message with the text between and around them."""
    for part, some in groupby(pieces, key=lambda item: item[1].part or 0):
        at = 0
        for number, shown in some:
            if between := said[part][at : shown.start]:
                yield Stretch(between)
            yield Stretch(
                shown.text,
                _to_css_class(shown.place),
                _format_tip(shown),
                number if shown.rank is not None else None,
            )
            at = shown.end
        if after := said[part][at:].rstrip():
            yield Stretch(after)


def _find_source_message(
    message: Message, messages: list[Message], places: dict[int, Place], start: int
) -> int | None:
    """Find which message from `start` on this one was shortened from."""
    if _find_gateway_place(message) or message in (
        ASSISTANT_PLACEHOLDER,
        REASONING_PLACEHOLDER,
        USER_PLACEHOLDER,
    ):
        return None
    for at in range(start, len(messages)):
        if messages[at].get("role") == message.get("role") and (
            places.get(at) == "shortened"
            or _extract_content(messages[at]) == _extract_content(message)
        ):
            return at
    return None


def _extract_content(message: Message) -> tuple[object, object]:
    return message.get("content"), message.get("tool_calls")


def _format_tip(shown: PreviewSpan) -> str:
    name = PLACE_LABELS[shown.place][0]
    return name if shown.rank is None else f"{name} · rank {shown.rank} · score {shown.score:.4g}"


def _format_message_numbers(first: int, last: int) -> str:
    return str(first + 1) if first == last else f"{first + 1}\N{EN DASH}{last + 1}"


def _format_label(places: set[Place]) -> str:
    return ", ".join(name for place, (name, _) in PLACE_LABELS.items() if place in places)


def _choose_css_class(places: set[Place]) -> str:
    return _to_css_class(next(iter(places))) if len(places) == 1 else "mixed"


def _to_css_class(place: str) -> str:
    return place.replace(" ", "-")


def _find_gateway_place(message: Message) -> Place | None:
    """Return which transcript a message of the gateway is; None for a role placeholder."""
    text = _get_content_text(message)
    return (
        "block"
        if text.startswith(BLOCK_HEADING)
        else "recalled"
        if text.startswith(RETRIEVAL_HEADING)
        else None
    )


def _get_content_text(message: Message) -> str:
    return str(message.get("content"))
