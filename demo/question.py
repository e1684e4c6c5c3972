"""One chat request to replay, and whether the answer it got was meant for it."""

from dataclasses import dataclass, field
from typing import Any, Literal

GUIDE_PLAN = "support-bot-cache"
FAQ_PLAN = "faq-cache"
Message = dict[str, Any]
Verdict = Literal["right", "wrong", "unlabelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`label` names the answer that is wanted: two questions of one label may share it.

    `differs` holds the labels known to want another answer; None: every other label does.
    `parameters` are further fields of the request body, such as temperature.
    """

    plan: str
    messages: list[Message]
    label: str
    differs: frozenset[str] | None = None
    stream: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)

    def verdict(self, answered: str | None) -> Verdict:
        """Judge an answer by the label of the question it was made for."""
        if answered == self.label:
            return "right"
        if answered is None:
            return "unlabelled"
        return "wrong" if self.differs is None or answered in self.differs else "unlabelled"
