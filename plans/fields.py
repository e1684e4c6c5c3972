"""The settings of a plan as forms show them: sections, labels and help."""

from dataclasses import dataclass
from typing import Final, Literal

from plans.pricing import EXTRA_RATES

# How a plan's settings are laid out for people: the questions they ask, and which settings do
# nothing beside which others.


@dataclass(frozen=True, slots=True, kw_only=True)
class FormSection:
    """Fields under one heading.

    `half`: the object of the API's body that they stand in; `folded`: closed until somebody wants
    them.
    """

    title: str
    fields: tuple[str, ...]
    description: str = ""
    plan_section: Literal["compression", "cache"]
    is_collapsed: bool = False


# Of the halves; in the API's body they are the halves themselves.
SWITCH_FIELDS: Final = ("compression_engine", "cache_enabled")
FORM_SECTIONS: Final = (
    FormSection(
        plan_section="compression",
        title="What of a long chat is sent?",
        fields=("compression_engine", "max_input_tokens", "when"),
        description=(
            "Long histories are shortened before you pay for them. The question "
            "itself is never cut."
        ),
    ),
    FormSection(
        plan_section="compression",
        title="How it is shortened",
        fields=("focus", "language", "min_sentences", "deadline_ms"),
        is_collapsed=True,
    ),
    FormSection(
        plan_section="cache",
        title="What may be answered again?",
        fields=(
            "cache_enabled",
            "exact",
            "backend",
            "match",
            "similarity_threshold",
            "context",
            "scope",
            "tool_calls",
        ),
        description=(
            "An answer that was paid for once is given again, for nothing. An identical request "
            "gets what it got before; a question in other words may get a wrong answer. If you "
            "fear that, choose no place where they are compared, or try the plan in shadow first."
        ),
    ),
    FormSection(
        plan_section="cache",
        title="Which questions in other words are left out",
        fields=("window", "force", "max_temperature", "time_sensitive", "personal"),
        is_collapsed=True,
    ),
    FormSection(plan_section="cache", title="How long does an answer live?", fields=("ttl",)),
    FormSection(
        plan_section="cache",
        title="Before and after it expires",
        fields=("ttl_jitter", "stale_while_revalidate", "stale_if_error"),
        is_collapsed=True,
    ),
    FormSection(
        plan_section="cache",
        title="How is it watched?",
        fields=("max_error_rate", "sample_rate", "judge_model"),
        description=(
            "Nobody sees a wrong answer from here. Samples show how many there are, and turn "
            "reuse by meaning off before there are too many."
        ),
    ),
)
# What must be chosen for a field to do anything: a name alone for anything at all, else one of the
# values.
_COMPRESSION_DEPENDENCY = "compression_engine"
_SEMANTIC_DEPENDENCY = "cache_enabled backend"
FIELD_DEPENDENCIES: Final = {
    **dict.fromkeys(
        ("max_input_tokens", "when", "language", "min_sentences", "deadline_ms"),
        _COMPRESSION_DEPENDENCY,
    ),
    "focus": "compression_engine=text_rank",
    **dict.fromkeys(
        ("exact", "backend", "scope", "tool_calls", "ttl", "ttl_jitter"), "cache_enabled"
    ),
    **dict.fromkeys(
        (
            "match",
            "similarity_threshold",
            "context",
            "max_temperature",
            "time_sensitive",
            "personal",
        ),
        _SEMANTIC_DEPENDENCY,
    ),
    **dict.fromkeys(("stale_while_revalidate", "stale_if_error"), "cache_enabled exact"),
    "window": f"{_SEMANTIC_DEPENDENCY} context=window",
    "force": f"{_SEMANTIC_DEPENDENCY} context=last_message",
    "max_error_rate": _SEMANTIC_DEPENDENCY,
    **dict.fromkeys(("sample_rate", "judge_model"), f"{_SEMANTIC_DEPENDENCY} max_error_rate"),
}


def list_section_fields(half: str) -> tuple[str, ...]:
    """The fields of that half of a plan, but for its switch."""
    return tuple(
        name
        for section in FORM_SECTIONS
        if section.plan_section == half
        for name in section.fields
        if name not in SWITCH_FIELDS
    )


SECTION_FIELDS: Final = {
    "compression": list_section_fields("compression"),
    "cache": list_section_fields("cache"),
}
FORM_FIELD_BY_PARAM: Final = {
    "plan_name": "name",
    "compression.engine": "compression_engine",
    "cache": "cache_enabled",
}
FIELD_LABELS: Final = {
    "name": "Plan name",
    "compression_engine": "Engine",
    "focus": "Chosen for",
    "when": "Shorten",
    "max_input_tokens": "Most input tokens",
    "deadline_ms": "Wait at most (milliseconds)",
    "cache_enabled": "Cache answers",
    "exact": "Reuse answers of identical requests",
    "backend": "Questions in other words",
    "match": "Questions match by",
    "similarity_threshold": "Similarity threshold",
    "max_error_rate": "Most wrong answers (share of 1)",
    "sample_rate": "Checked with the provider (share of 1)",
    "judge_model": "Checked by",
    "ttl": "Time to live (seconds)",
    "ttl_jitter": "Time to live varies by (share)",
    "stale_while_revalidate": "Serve expired while renewing (seconds)",
    "stale_if_error": "Serve expired when the provider fails (seconds)",
    "time_sensitive": "Also reuse answers to questions about now",
    "scope": "Shared by",
    "personal": "Also reuse answers to personal questions",
    "tool_calls": "Answers that call tools",
    "context": "Earlier turns of a chat",
    "window": "Turns compared as a whole",
    "holdout": "Sent without the plan, to measure it (share of 1)",
}
FIELD_HELP_TEXTS: Final = {
    "name": "What clients send as token_saving_plan_id. Unique within its owner.",
    "tenant": "Whose plan it is. Empty: the platform's, open to every tenant.",
    "mode": (
        "Shadow pays the provider for every request, whole, and counts what the plan would have "
        "saved: to look before you leap. Off costs and saves nothing: every request goes to the "
        "provider as it is."
    ),
    "max_input_tokens": (
        "Histories longer than this are shortened before you pay for them. Shorter ones go as "
        "they are. At least 64."
    ),
    "language": "Stop words and stems used to find the sentences worth paying for.",
    "focus": (
        "With the question, what it needs is looked up in the old part of the chat, anew for "
        "every request: answers stay right far more often. Only TextRank can do that. Another "
        "engine brings its own best choice, unless you change this too."
    ),
    "when": (
        "Always is a promise: no prompt is longer. When it saves goes by the price list, by "
        "what your provider really bills as cached, and by how long your chats last: a long "
        "chat may then go as it is."
    ),
    "min_sentences": "Keep at least this many sentences of what is shortened.",
    "deadline_ms": (
        "When finding the sentences takes longer, this one request is cut as trim would. "
        "Empty: as long as the gateway lets any plan."
    ),
    "exact": "The very same request costs nothing the second time.",
    "match": (
        "The verifier reads both questions together: it tells “enable” from “disable”, "
        "which a cosine cannot. With the cosine, rules alone stand between a near question "
        "and a wrong answer."
    ),
    "similarity_threshold": (
        "Lower saves more and risks more wrong answers; higher saves less. 0.80 bold, 0.85 "
        "usual, 0.90 careful."
    ),
    "max_error_rate": (
        "Such as 0.01: of a hundred answers given again to a question in other words, one may be "
        "wrong. It is measured, and when it is more for certain, only identical requests are "
        "answered until you look. Empty: not measured."
    ),
    "sample_rate": (
        "Of the answers given again by meaning, this share is asked for at the provider "
        "too, after the reply, to see whether they were right. You pay for it; the "
        "dashboard says how much."
    ),
    "judge_model": (
        "Who says whether both answers are the same. Rules cost nothing; they know English words "
        "best, and take other numbers for another answer. A model is sent the question and both "
        "answers, and you pay for its calls; choose a small one that takes temperature 0. "
        "Measuring begins anew when you change this."
    ),
    "ttl": (
        "A repeat of the same question within this time costs nothing; after it, the provider is "
        "paid for a fresh answer."
    ),
    "ttl_jitter": (
        "Answers stored at once would expire at once, and all be paid for again in the same "
        "second. With 0.1 each lives up to a tenth less; never longer."
    ),
    "stale_while_revalidate": (
        "So long after its time to live the very same request is still answered at once, with the "
        "expired answer, while a new one is fetched for the next. 0: never."
    ),
    "stale_if_error": (
        "So long after its time to live the very same request gets the expired answer instead of "
        "an error when the provider is down, too slow or turns requests away. 0: never."
    ),
    "scope": "The wider the circle that shares answers, the more is saved. Tenants never share.",
    "tool_calls": (
        "A request that demands a call wants it as its output: asked again, the stored call saves "
        "the whole answer. All saves more, and the client then carries a stored call out again, "
        "as if the model had made it anew. Kept are only calls whose arguments are what the tool "
        "takes, and only identical requests get them."
    ),
    "max_temperature": (
        "Requests above it ask for variety: only identical ones are then answered for free."
    ),
    "time_sensitive": "Such as “is it open right now?”. Saves more, may answer with old news.",
    "context": (
        "On 1,217 pairs of chats, each choice at the usual threshold: strict reused 17 % of the "
        "right answers and never a wrong one; window 59 %, and 3 in 1,000 reused answers were "
        "wrong; last message 89 %, and half of what it reused was wrong."
    ),
    "window": (
        "With window: so many turns before the question are compared together with it. What is "
        "named anywhere in the chat must agree however long it is."
    ),
    "holdout": (
        "Such as 0.02: two of a hundred chats, chosen by lot, go to the provider whole and are "
        "answered by nobody else. What they cost beside all others is what the plan really saves, "
        "and no model has to be believed. It costs you that share of the saving; with less than "
        "some hundred such requests nothing can be said. 0: the saving is modelled only. Nothing "
        "is held out in shadow."
    ),
    "personal": (
        "Such as “where is my order 1234?”. Saves more, may answer one person with another's facts."
    ),
}

# What can go wrong, by the API's dotted name: for docs/plan-settings.md.
RISKS: Final = {
    "plan_name": (
        "After a rename, requests that send the old name go without a plan and save nothing."
    ),
    "preset": "That of the preset chosen.",
    "mode": (
        "active: stored answers reach your users. shadow: every request is paid for. off: nothing "
        "is saved."
    ),
    "holdout": "The held-out chats save nothing: 0.02 costs 2 % of the saving.",
    "reason": "None.",
    "version": "Without it, the later of two changes made at once wins.",
    "compression.engine": (
        "Another engine keeps other sentences; what is left out, the model cannot know."
    ),
    "compression.max_input_tokens": "Lower: more of a long chat is left out.",
    "compression.language": "The wrong language ranks sentences badly.",
    "compression.min_sentences": "Higher: less room for what the question needs.",
    "compression.focus": "none: facts that the final question needs are left out more often.",
    "compression.when": (
        "always: may cost more than the whole chat where the provider has most of it cached. "
        "saves: prompts longer than max_input_tokens are sent."
    ),
    "compression.deadline_ms": "Lower: more requests are shortened by trim, which reads no words.",
    "cache.exact": "An identical request may get an answer up to ttl old.",
    "cache.backend": "A question in other words may get a wrong answer.",
    "cache.match": "cosine: rules alone stand between a similar question and a wrong answer.",
    "cache.similarity_threshold": "Lower: more hits, and more of them wrong.",
    "cache.max_error_rate": (
        "null: nobody notices wrong answers. Higher: more of them before the tier turns off."
    ),
    "cache.sample_rate": "Higher: more calls to pay for. Lower: wrong answers are noticed later.",
    "cache.judge_model": "The judge's provider reads the question and both answers.",
    "cache.ttl": "Higher: older answers.",
    "cache.ttl_jitter": "0: answers stored together are all paid for again together.",
    "cache.stale_while_revalidate": "Answers older than ttl are served.",
    "cache.stale_if_error": "Answers older than ttl are served while the provider fails.",
    "cache.scope": (
        "The wider, the sooner an answer about one person reaches another. user: requests without "
        "`user` are not cached."
    ),
    "cache.tool_calls": "all: clients carry out a stored call as if the model had just made it.",
    "cache.max_temperature": "Higher: requests that ask for variety get the same answer.",
    "cache.time_sensitive": "true: old news.",
    "cache.personal": "true: one person may get an answer about another.",
    "cache.context": "last_message: half of what was reused in chats belonged to another chat.",
    "cache.window": "Lower: chats that differ in an earlier turn look more alike.",
    "cache.force": "As context last_message.",
}

PRICE_HELP_TEXTS: Final = {
    "input": "US dollars per million tokens.",
    "output": "US dollars per million tokens.",
    "cached_input": "US dollars per million tokens. Empty: the provider gives no discount.",
    "cache_write": (
        "US dollars per million tokens that the provider writes into its prefix cache. Empty: "
        "the price of input."
    ),
    "terms": (
        "What else the provider asks for, one a line, such as “above 200000: input 2.5, "
        "output 15” for longer prompts, “from 00:30 to 16:30: input 0.27, output 1.1” "
        "(UTC), “since 2027-01-01: input 1, output 4”, “service tier flex: input 0.5, "
        "output 2”, or “input_audio 1”. "
        f"Rates: input, output, cached_input, cache_write, {', '.join(EXTRA_RATES)}; the last "
        "two in dollars each."
    ),
}
