"""How a plan's settings are laid out for people: the questions they ask, and which settings do nothing beside which others."""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Fields under one heading. `half`: the object of the API's body that they stand in; `folded`: closed until somebody wants them."""

    title: str
    fields: tuple[str, ...]
    description: str = ""
    half: Literal["compression", "cache"]
    folded: bool = False


SWITCHES: Final = ("compression_engine", "cache_enabled")  # of the halves; in the API's body they are the halves themselves
SECTIONS: Final = (
    Section(
        half="compression",
        title="What of a long chat is sent?",
        fields=("compression_engine", "max_input_tokens", "when"),
        description="Long histories are shortened before you pay for them. The question itself is never cut.",
    ),
    Section(half="compression", title="How it is shortened", fields=("focus", "language", "min_sentences", "deadline_ms"), folded=True),
    Section(
        half="cache",
        title="What may be answered again?",
        fields=("cache_enabled", "exact", "backend", "match", "similarity_threshold", "context", "scope", "tool_calls"),
        description="An answer that was paid for once is given again, for nothing. An identical request gets what it got before; a "
        "question in other words may get a wrong answer. If you fear that, choose no place where they are compared, or try the plan in "
        "shadow first.",
    ),
    Section(
        half="cache",
        title="Which questions in other words are left out",
        fields=("window", "force", "max_temperature", "time_sensitive", "personal"),
        folded=True,
    ),
    Section(half="cache", title="How long does an answer live?", fields=("ttl",)),
    Section(
        half="cache", title="Before and after it expires", fields=("ttl_jitter", "stale_while_revalidate", "stale_if_error"), folded=True
    ),
    Section(
        half="cache",
        title="How is it watched?",
        fields=("max_error_rate", "sample_rate", "judge_model"),
        description="Nobody sees a wrong answer from here. Samples show how many there are, and turn reuse by meaning off before there are "
        "too many.",
    ),
)

# What must be chosen for a field to do anything: a name alone for anything at all, else one of the values.
_COMPRESSES = "compression_engine"
_BY_MEANING = "cache_enabled backend"
NEEDS: Final = {
    **dict.fromkeys(("max_input_tokens", "when", "language", "min_sentences", "deadline_ms"), _COMPRESSES),
    "focus": "compression_engine=text_rank",
    **dict.fromkeys(("exact", "backend", "scope", "tool_calls", "ttl", "ttl_jitter"), "cache_enabled"),
    **dict.fromkeys(("match", "similarity_threshold", "context", "max_temperature", "time_sensitive", "personal"), _BY_MEANING),
    **dict.fromkeys(("stale_while_revalidate", "stale_if_error"), "cache_enabled exact"),
    "window": f"{_BY_MEANING} context=window",
    "force": f"{_BY_MEANING} context=last_message",
    "max_error_rate": _BY_MEANING,
    **dict.fromkeys(("sample_rate", "judge_model"), f"{_BY_MEANING} max_error_rate"),
}


def fields_of(half: str) -> tuple[str, ...]:
    """The fields of that half of a plan, but for its switch."""
    return tuple(name for section in SECTIONS if section.half == half for name in section.fields if name not in SWITCHES)
