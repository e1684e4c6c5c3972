"""The compression engines: one file and one row each, loaded when a plan first uses it."""

from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from proxy.core.compression.document import RankFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A compression engine; `title` and `description` are shown to administrators."""

    title: str
    description: str
    # "module:function" of type `document.RankFunction`.
    rank: str
    # The same for ranks by what the chat's question needs, if the engine has them.
    focus: str | None = None
    # What it ranks.
    grain: Literal["message", "sentence"] = "sentence"


ENGINES = {
    "trim": Engine(
        title="Trim",
        description=(
            "Keeps the newest and the first messages whole and drops the middle. The "
            "quickest; reads no words."
        ),
        rank="proxy.core.compression.algorithms.trim:rank",
        grain="message",
    ),
    "text_rank": Engine(
        title="TextRank",
        description=(
            "Keeps what the question needs, and a gist: the sentences that share most words with "
            "the rest of the chat. Milliseconds even for very long chats."
        ),
        rank="proxy.core.compression.algorithms.text_rank:rank",
        focus="proxy.core.compression.algorithms.question_focus:rank",
    ),
    "lex_rank": Engine(
        title="LexRank",
        description=(
            "Like TextRank, but rare words count more and only clearly similar sentences are "
            "joined. Up to 3,000 sentences."
        ),
        rank="proxy.core.compression.algorithms.lex_rank:rank",
    ),
    "lsa": Engine(
        title="Latent semantic analysis",
        description=(
            "Keeps the sentences that carry most of the chat's vocabulary; favours long ones."
        ),
        rank="proxy.core.compression.algorithms.lsa:rank",
    ),
}


def load_rank(name: str, *, focused: bool = False) -> RankFunction:
    """Return an engine's rank function, or with `focused` the one that ranks for a question.

    Raises KeyError for an unknown engine or one without the latter, ImportError if it cannot be
    loaded.
    """
    path = ENGINES[name].focus if focused else ENGINES[name].rank
    if path is None:
        raise KeyError(name)
    module, _, function = path.partition(":")
    rank: RankFunction = getattr(import_module(module), function)
    return rank
