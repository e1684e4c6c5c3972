"""The one table of a plan's settings: what each is called, what it may be, what a change risks.

The columns, the forms, the API and its document, the rules, the files of an import and the page
docs/plan-settings.md are made from it; the frozen copies of `plans.snapshot` are compared with it
by a test. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from plans.pricing import EXTRA_RATES

PlanHalf = Literal["", "compression", "cache"]  # "": of the plan itself
# `name`: of something that the running system has; the rules ask it whether it does.
SettingKind = Literal["whole", "number", "flag", "choice", "name"]
# `exact`: where identical requests are answered afterwards; `semantic`: where questions are
# compared by meaning before and after; besides, `window`: under that context before and after;
# `measured`: with an error budget afterwards; `judged`: with one before and after.
RiskCondition = Literal["always", "exact", "semantic", "window", "measured", "judged"]

MAX_INT32: Final = 2**31 - 1
MAX_ERROR_RATE: Final = 0.5
MAX_CHOICE_LENGTH: Final = 16


@dataclass(frozen=True, slots=True)
class ChangeRisk:
    """A kind of change that may serve other answers than before."""

    # By the order of the choices where there are some. Null is more than any number.
    change: Literal["raised", "lowered", "changed"]
    text: str
    condition: RiskCondition = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSetting:
    """One setting, as every place that has it needs it."""

    half: PlanHalf
    # In its half of the API's body; "": the half itself, as something to turn on.
    name: str
    # In the database and the form, where that is another name.
    column: str = ""
    kind: SettingKind
    default: Any
    nullable: bool = False
    low: float = 0
    high: float = MAX_INT32
    # Each value with its label.
    choices: Mapping[str, str] = field(default_factory=dict)
    # Of a name or a choice, in the database.
    max_length: int = MAX_CHOICE_LENGTH
    # What null stands for, said where another value is refused.
    null_means: str = ""
    # Of the form.
    label: str
    help: str = ""
    # Of the API's document.
    description: str = ""
    # What can go wrong, and in which direction, for docs/plan-settings.md.
    danger: str
    # Columns that must have a value for this one to do anything; `column=value`: that value.
    needs: str = ""
    # What is asked about before a change.
    risks: tuple[ChangeRisk, ...]
    # What a replay of past requests cannot tell of a change, in words; "" where it can.
    unreplayed: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "column", self.column or self.name)

    @property
    def param(self) -> str:
        """As refusals name it: `cache.ttl`."""
        return ".".join(filter(None, (self.half, self.name)))


_COMPRESSES: Final = "compression_engine"
_CACHES: Final = "cache_enabled"
_COMPARES: Final = "cache_enabled backend"
UNREPLAYED_COMPRESSION: Final = (
    "what is cut from long chats, and which answers are none any more for it"
)
_OTHER_SENTENCES: Final = ChangeRisk("changed", "Other sentences of long chats are chosen.")

PLAN_SETTINGS: Final = (
    PlanSetting(
        half="",
        name="mode",
        kind="choice",
        default="active",
        choices={
            "active": "Active: save on every request",
            "shadow": "Shadow: count what would have been saved, and answer from the provider",
            "off": "Off: pass everything through",
        },
        label="Mode",
        help=(
            "Shadow pays the provider for every request, whole, and counts what the plan would "
            "have saved: to look before you leap. Off costs and saves nothing: every request goes "
            "to the provider as it is."
        ),
        description=(
            "active: cache and compress. shadow: send every request whole to the provider and "
            "count what the plan would have saved. off: pass every request through."
        ),
        danger=(
            "active: stored answers reach your users. shadow: every request is paid for. off: "
            "nothing is saved."
        ),
        risks=(),
        unreplayed="",
    ),
    PlanSetting(
        half="",
        name="holdout",
        kind="number",
        default=0.0,
        high=0.5,
        label="Sent without the plan, to measure it (share of 1)",
        help=(
            "Such as 0.02: two of a hundred chats, chosen by lot, go to the provider whole and "
            "are answered by nobody else. What they cost beside all others is what the plan "
            "really saves, and no model has to be believed. It costs you that share of the "
            "saving; with less than some hundred such requests nothing can be said. 0: the saving "
            "is modelled only. Nothing is held out in shadow."
        ),
        description=(
            "The share of chats, chosen at random, that go to the provider without the plan, so "
            "that the saving is measured and not only modelled. 0: not measured. Mode active only."
        ),
        danger="The held-out chats save nothing: 0.02 costs 2 % of the saving.",
        risks=(),
        unreplayed="how many requests are held out",
    ),
    PlanSetting(
        half="compression",
        name="engine",
        column="compression_engine",
        kind="name",
        default="text_rank",
        max_length=64,
        label="Engine",
        help="Which sentences of a long history to pay for.",
        description=(
            "How the parts of the old chat that are kept are chosen. GET "
            "/token-saving/compression-engines describes each engine."
        ),
        danger="Another engine keeps other sentences; what is left out, the model cannot know.",
        risks=(_OTHER_SENTENCES,),
        unreplayed=UNREPLAYED_COMPRESSION,
    ),
    PlanSetting(
        half="compression",
        name="max_input_tokens",
        kind="whole",
        default=4096,
        low=64,
        label="Most input tokens",
        help=(
            "Histories longer than this are shortened before you pay for them. Shorter ones go as "
            "they are. At least 64."
        ),
        description=(
            "A longer prompt is compressed to at most this many tokens. System messages and the "
            "final turn are never shortened."
        ),
        needs=_COMPRESSES,
        danger="Lower: more of a long chat is left out.",
        risks=(
            ChangeRisk(
                "lowered",
                "More of long chats is left out: what is left out, the model cannot know.",
            ),
        ),
        unreplayed=UNREPLAYED_COMPRESSION,
    ),
    PlanSetting(
        half="compression",
        name="language",
        kind="name",
        default="english",
        max_length=32,
        label="Language",
        help="Stop words and stems used to find the sentences worth paying for.",
        description="The language of the chat: its stop words and its stemmer.",
        needs=_COMPRESSES,
        danger="The wrong language ranks sentences badly.",
        risks=(_OTHER_SENTENCES,),
        unreplayed=UNREPLAYED_COMPRESSION,
    ),
    PlanSetting(
        half="compression",
        name="min_sentences",
        kind="whole",
        default=1,
        low=1,
        label="Min sentences",
        help="Keep at least this many sentences of what is shortened.",
        description="Keep at least this many sentences of the shortened part, as far as they fit.",
        needs=_COMPRESSES,
        danger="Higher: less room for what the question needs.",
        risks=(_OTHER_SENTENCES,),
        unreplayed=UNREPLAYED_COMPRESSION,
    ),
    PlanSetting(
        half="compression",
        name="focus",
        kind="choice",
        default="question",
        choices={
            "question": "The question: what it needs of the old part, and a gist of the rest",
            "none": "None: what says most about the whole chat, whatever is asked",
        },
        label="Chosen for",
        help=(
            "With the question, what it needs is looked up in the old part of the chat, anew for "
            "every request: answers stay right far more often. Only TextRank can do that. Another "
            "engine brings its own best choice, unless you change this too."
        ),
        description=(
            "What is kept of the old part of a chat. question: what the final question needs. "
            "none: what represents the whole chat best, whatever is asked. Engines that do not "
            "read the question accept only the latter, which is then their default."
        ),
        needs="compression_engine=text_rank",
        danger="none: facts that the final question needs are left out more often.",
        risks=(_OTHER_SENTENCES,),
        unreplayed=UNREPLAYED_COMPRESSION,
    ),
    PlanSetting(
        half="compression",
        name="when",
        kind="choice",
        default="always",
        choices={
            "always": "Always: no prompt is ever longer",
            "saves": "When it saves: a prompt that the provider remembers may be cheaper whole",
        },
        label="Shorten",
        help=(
            "Always is a promise: no prompt is longer. When it saves goes by the price list, by "
            "what your provider really bills as cached, and by how long your chats last: a long "
            "chat may then go as it is."
        ),
        description=(
            "always: compress every prompt longer than max_input_tokens. saves: only where that "
            "is cheaper than the whole prompt at the provider's price for cached tokens."
        ),
        needs=_COMPRESSES,
        danger=(
            "always: may cost more than the whole chat where the provider has most of it cached. "
            "saves: prompts longer than max_input_tokens are sent."
        ),
        risks=(ChangeRisk("lowered", "Chats are shortened also where that does not pay."),),
        unreplayed=UNREPLAYED_COMPRESSION,
    ),
    PlanSetting(
        half="compression",
        name="deadline_ms",
        kind="whole",
        default=None,
        nullable=True,
        low=10,
        high=60_000,
        null_means="as long as the gateway waits for any plan",
        label="Wait at most (milliseconds)",
        help=(
            "When finding the sentences takes longer, this one request is cut as trim would. "
            "Empty: as long as the gateway lets any plan."
        ),
        description=(
            "Milliseconds that a request waits for its compression; then trim shortens it. null: "
            "the limit of the gateway, TOKENTHRIFT_COMPRESSION_DEADLINE_MS."
        ),
        needs=_COMPRESSES,
        danger="Lower: more requests are shortened by trim, which reads no words.",
        risks=(
            ChangeRisk(
                "lowered", "More long chats are cut by `trim`, because the engine has less time."
            ),
        ),
        unreplayed=UNREPLAYED_COMPRESSION,
    ),
    PlanSetting(
        half="cache",
        name="",
        column="cache_enabled",
        kind="flag",
        default=True,
        label="Cache answers",
        danger="",
        risks=(),
        unreplayed="",
    ),
    PlanSetting(
        half="cache",
        name="exact",
        kind="flag",
        default=True,
        label="Reuse answers of identical requests",
        help="The very same request costs nothing the second time.",
        description="Exact tier: answer an identical request with the stored answer.",
        needs=_CACHES,
        danger="An identical request may get an answer up to ttl old.",
        risks=(ChangeRisk("raised", "Identical requests get their stored answer."),),
        unreplayed="",
    ),
    PlanSetting(
        half="cache",
        name="backend",
        kind="name",
        default="pgvector_semantic",
        nullable=True,
        max_length=64,
        label="Questions in other words",
        help=(
            "Where they are compared by meaning, so that they cost nothing either. None is the "
            "safe choice: then only the very same request is answered again."
        ),
        description=(
            "Semantic tier: the store in which questions are compared by meaning. GET "
            "/token-saving/cache-engines says which ones run. null: no semantic tier."
        ),
        needs=_CACHES,
        danger="A question in other words may get a wrong answer.",
        risks=(
            ChangeRisk(
                "changed",
                "Questions are compared elsewhere, among other stored answers.",
                "semantic",
            ),
        ),
        unreplayed="where questions in other words are looked up",
    ),
    PlanSetting(
        half="cache",
        name="match",
        kind="choice",
        default="verified",
        choices={
            "verified": "The verifier's score: whether both questions have the same answer",
            "cosine": "The cosine of the embeddings: whether both questions are about the same",
        },
        label="Questions match by",
        help=(
            "The verifier reads both questions together: it tells “enable” from “disable”, which "
            "a cosine cannot. With the cosine, rules alone stand between a near question and a "
            "wrong answer."
        ),
        description=(
            "What similarity_threshold is compared with. verified: the verifier's score, the "
            "probability that both questions have the same answer. cosine: the cosine similarity "
            "of their embeddings."
        ),
        needs=_COMPARES,
        danger="cosine: rules alone stand between a similar question and a wrong answer.",
        risks=(
            ChangeRisk(
                "changed",
                "The threshold is about another number, so other questions count as the same.",
                "semantic",
            ),
            ChangeRisk(
                "raised",
                (
                    "The verifier is off: rules alone stand between a near question and a wrong "
                    "answer."
                ),
                "semantic",
            ),
        ),
        unreplayed="",
    ),
    PlanSetting(
        half="cache",
        name="similarity_threshold",
        kind="number",
        default=0.85,
        high=1,
        label="Similarity threshold",
        help=(
            "Lower saves more and risks more wrong answers; higher saves less. 0.80 bold, 0.85 "
            "usual, 0.90 careful."
        ),
        description=(
            "The score or cosine that a stored question must reach for its answer to be served. A "
            "request may raise it, not lower it. Does something only while strictness is null."
        ),
        needs=f"{_COMPARES} strictness=",
        danger="Lower: more hits, and more of them wrong.",
        risks=(
            # Strictness is compared by its threshold (`plans.change_risks`).
            ChangeRisk(
                "lowered",
                "A lower threshold reuses more answers, and more of them will be wrong.",
                "semantic",
            ),
        ),
        unreplayed="",
    ),
    PlanSetting(
        half="cache",
        name="strictness",
        kind="choice",
        default=None,
        nullable=True,
        null_means="similarity_threshold decides",
        choices={
            "strict": "Strict: fewest wrong answers",
            "balanced": "Balanced: more rewordings, a few more wrong answers",
            "wide": "Wide: most rewordings, to be used with an error budget",
        },
        label="How well questions must agree",
        help=(
            "A name for a score of the verifier, by the share of near traps (another question in "
            "nearly the same words) that it lets pass. With a number you choose the score yourself."
        ),
        description=(
            "A threshold of the verifier's score by name, in place of similarity_threshold, by the "
            "share of near traps that it serves: strict at most 1 %, balanced some 3 %, wide some "
            "5 %. null: similarity_threshold decides. Needs match verified."
        ),
        needs=f"{_COMPARES} match=verified",
        danger="wide: most rewordings and most wrong answers; set max_error_rate beside it.",
        # Told of similarity_threshold, which this replaces.
        risks=(),
        unreplayed="",
    ),
    PlanSetting(
        half="cache",
        name="max_error_rate",
        kind="number",
        default=None,
        nullable=True,
        low=0.0001,
        high=MAX_ERROR_RATE,
        null_means="wrong hits are not measured",
        label="Most wrong answers (share of 1)",
        help=(
            "Such as 0.01: of a hundred answers given again to a question in other words, one may "
            "be wrong. It is measured, and when it is more for certain, only identical requests "
            "are answered until you look. Empty: not measured."
        ),
        description=(
            "Error budget: the share of wrong answers accepted among semantic hits. It is "
            "measured; when it is exceeded for certain, the semantic tier turns itself off. null: "
            "not measured."
        ),
        needs=_COMPARES,
        danger=(
            "null: nobody notices wrong answers. Higher: more of them before the tier turns off."
        ),
        risks=(
            ChangeRisk(
                "raised",
                "More wrong answers are accepted before reuse by meaning turns itself off.",
                "semantic",
            ),
        ),
        unreplayed="the error budget, which may raise the threshold or turn the semantic tier off",
    ),
    PlanSetting(
        half="cache",
        name="sample_rate",
        kind="number",
        default=0.05,
        high=1,
        label="Checked with the provider (share of 1)",
        help=(
            "Of the answers given again by meaning, this share is asked for at the provider too, "
            "after the reply, to see whether they were right. You pay for it; the dashboard says "
            "how much."
        ),
        description=(
            "The share of semantic hits for which the provider is called too, after the reply, to "
            "check the stored answer. Does something only with max_error_rate."
        ),
        needs=f"{_COMPARES} max_error_rate",
        danger="Higher: more calls to pay for. Lower: wrong answers are noticed later.",
        risks=(
            ChangeRisk(
                "lowered", "Fewer reused answers are checked with the provider.", "measured"
            ),
        ),
        unreplayed="what sampling costs",
    ),
    PlanSetting(
        half="cache",
        name="judge_model",
        kind="name",
        default=None,
        nullable=True,
        max_length=128,
        label="Checked by",
        help=(
            "Who says whether both answers are the same. Rules cost nothing; they know English "
            "words best, and take other numbers for another answer. A model is sent the question "
            "and both answers, and you pay for its calls; choose a small one that takes "
            "temperature 0. Measuring begins anew when you change this."
        ),
        description=(
            "The route whose model decides whether the stored and the fresh answer say the same. "
            "null: rules decide. Needs max_error_rate."
        ),
        needs=f"{_COMPARES} max_error_rate",
        danger="The judge's provider reads the question and both answers.",
        risks=(
            ChangeRisk("changed", "Somebody else says which reused answers were wrong.", "judged"),
        ),
        unreplayed="what judging costs",
    ),
    PlanSetting(
        half="cache",
        name="ttl",
        kind="whole",
        default=3600,
        low=1,
        label="Time to live (seconds)",
        help=(
            "A repeat of the same question within this time costs nothing; after it, the provider "
            "is paid for a fresh answer."
        ),
        description="Time to live of an answer, in seconds.",
        needs=_CACHES,
        danger="Higher: older answers.",
        risks=(ChangeRisk("raised", "Answers live longer: they may be older than before."),),
        unreplayed="",
    ),
    PlanSetting(
        half="cache",
        name="ttl_jitter",
        kind="number",
        default=0.1,
        high=0.5,
        label="Time to live varies by (share)",
        help=(
            "Answers stored at once would expire at once, and all be paid for again in the same "
            "second. With 0.1 each lives up to a tenth less; never longer."
        ),
        description=(
            "Each entry lives up to this share shorter than ttl, so that entries stored together "
            "do not all expire together."
        ),
        needs=_CACHES,
        danger="0: answers stored together are all paid for again together.",
        risks=(),
        unreplayed="how long each single answer lives",
    ),
    PlanSetting(
        half="cache",
        name="stale_while_revalidate",
        kind="whole",
        default=0,
        label="Serve expired while renewing (seconds)",
        help=(
            "So long after its time to live the very same request is still answered at once, with "
            "the expired answer, while a new one is fetched for the next. 0: never."
        ),
        description=(
            "For this many seconds after ttl an identical request gets the expired answer at "
            "once, while a new one is fetched in the background (RFC 5861). 0: never."
        ),
        needs=f"{_CACHES} exact",
        danger="Answers older than ttl are served.",
        risks=(ChangeRisk("raised", "Expired answers are served for longer.", "exact"),),
        unreplayed="expired answers served while renewing",
    ),
    PlanSetting(
        half="cache",
        name="stale_if_error",
        kind="whole",
        default=0,
        label="Serve expired when the provider fails (seconds)",
        help=(
            "So long after its time to live the very same request gets the expired answer instead "
            "of an error when the provider is down, too slow or turns requests away. 0: never."
        ),
        description=(
            "For this many seconds after ttl an identical request gets the expired answer when "
            "the provider fails (RFC 5861). 0: never."
        ),
        needs=f"{_CACHES} exact",
        danger="Answers older than ttl are served while the provider fails.",
        risks=(
            ChangeRisk(
                "raised", "Expired answers are served for longer when the provider fails.", "exact"
            ),
        ),
        unreplayed="expired answers served when the provider fails",
    ),
    PlanSetting(
        half="cache",
        name="scope",
        kind="choice",
        default="tenant",
        choices={
            "tenant": "The whole tenant shares answers",
            "key": "Each virtual key keeps its own answers",
            "user": "Each end user (the request's `user` field) keeps their own answers",
        },
        label="Shared by",
        help="The wider the circle that shares answers, the more is saved. Tenants never share.",
        description=(
            "Who shares answers. tenant: everybody in the tenant. key: each virtual key for "
            "itself. user: each end user for themselves, by the request's `user` field."
        ),
        needs=_CACHES,
        danger=(
            "The wider, the sooner an answer about one person reaches another. user: requests "
            "without `user` are not cached."
        ),
        risks=(ChangeRisk("lowered", "A wider circle shares answers."),),
        unreplayed="",
    ),
    PlanSetting(
        half="cache",
        name="tool_calls",
        kind="choice",
        default="output",
        choices={
            "none": "None: such an answer is paid for each time",
            "output": "Where a call was demanded: it is the output itself",
            "all": "All: also those that the model chose to make",
        },
        label="Answers that call tools",
        help=(
            "A request that demands a call wants it as its output: asked again, the stored call "
            "saves the whole answer. All saves more, and the client then carries a stored call "
            "out again, as if the model had made it anew. Kept are only calls whose arguments are "
            "what the tool takes, and only identical requests get them."
        ),
        description=(
            "Which answers that call tools are stored, for identical requests only. none: no such "
            "answer. output: those to requests that force a call (`tool_choice` is `required` or "
            "names a tool). all: also calls that the model chose to make."
        ),
        needs=_CACHES,
        danger="all: clients carry out a stored call as if the model had just made it.",
        risks=(
            ChangeRisk(
                "raised",
                (
                    "More answers that call tools are given again: clients carry those calls out "
                    "again."
                ),
            ),
        ),
        unreplayed="which calls of tools are kept",
    ),
    PlanSetting(
        half="cache",
        name="max_temperature",
        kind="number",
        default=1.0,
        high=2.0,
        label="Max temperature",
        help="Requests above it ask for variety: only identical ones are then answered for free.",
        description="Requests with a higher temperature use the exact tier only.",
        needs=_COMPARES,
        danger="Higher: requests that ask for variety get the same answer.",
        risks=(
            ChangeRisk(
                "raised",
                "Requests that ask for more variety are answered by meaning too.",
                "semantic",
            ),
        ),
        unreplayed="which temperatures are too high",
    ),
    PlanSetting(
        half="cache",
        name="time_sensitive",
        kind="flag",
        default=False,
        label="Also reuse answers to questions about now",
        help="Such as “is it open right now?”. Saves more, may answer with old news.",
        description=(
            "true: the semantic tier also answers questions about the present, such as “is it "
            "open right now?”. false: the exact tier only."
        ),
        needs=_COMPARES,
        danger="true: old news.",
        risks=(ChangeRisk("raised", "Questions about now may get old news.", "semantic"),),
        unreplayed="questions about now",
    ),
    PlanSetting(
        half="cache",
        name="personal",
        kind="flag",
        default=False,
        label="Also reuse answers to personal questions",
        help=(
            "Such as “where is my order 1234?”. Saves more, may answer one person with another's "
            "facts."
        ),
        description=(
            "true: the semantic tier also answers personal questions, such as “where is my order "
            "1234?”. false: the exact tier only."
        ),
        needs=_COMPARES,
        danger="true: one person may get an answer about another.",
        risks=(
            ChangeRisk("raised", "Personal questions may get another person's facts.", "semantic"),
        ),
        unreplayed="personal questions",
    ),
    PlanSetting(
        half="cache",
        name="context",
        kind="choice",
        default="window",
        choices={
            "strict": "Strict: the earlier turns are identical",
            "window": "Window: the user may have said the same in other words",
            "last_message": "Last message: whatever was said before, for bots without memory",
        },
        label="Earlier turns of a chat",
        help=(
            "On 1,217 pairs of chats, each choice at the usual threshold: strict reused 17 % of "
            "the right answers and never a wrong one; window 59 %, and 3 in 1,000 reused answers "
            "were wrong; last message 89 %, and half of what it reused was wrong."
        ),
        description=(
            "Which earlier turns of a chat must agree before the semantic tier answers. strict: "
            "all, to the letter. window: by meaning, and the same in every detail. "
            "last_message: none; refused where chats used the plan in the last 7 days."
        ),
        needs=_COMPARES,
        danger="last_message: half of what was reused in chats belonged to another chat.",
        risks=(
            ChangeRisk(
                "raised",
                "Less of the earlier chat must agree: answers of other chats may be given.",
                "semantic",
            ),
        ),
        unreplayed="what of a chat's earlier turns must agree",
    ),
    PlanSetting(
        half="cache",
        name="window",
        kind="whole",
        default=2,
        low=1,
        high=20,
        label="Turns compared as a whole",
        help=(
            "With window: so many turns before the question are compared together with it. What "
            "is named anywhere in the chat must agree however long it is."
        ),
        description=(
            "How many turns of the user before the question are embedded with it, under context "
            "window. Numbers, names and dates are compared over the whole chat."
        ),
        needs=f"{_COMPARES} context=window",
        danger="Lower: chats that differ in an earlier turn look more alike.",
        risks=(
            ChangeRisk(
                "lowered", "Fewer earlier turns of a chat are compared as a whole.", "window"
            ),
        ),
        unreplayed="how many turns are compared as a whole",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormSection:
    """Columns under one heading of the form, in its order.

    `plan_section`: the half that they stand in; `is_collapsed`: closed until somebody wants them.
    """

    title: str
    fields: tuple[str, ...]
    description: str = ""
    plan_section: PlanHalf
    is_collapsed: bool = False


# Of the halves; in the API's body they are the halves themselves, or name their engine.
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
            "strictness",
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
    FormSection(plan_section="", title="What does it really save?", fields=("holdout",)),
)


def list_settings(half: PlanHalf) -> tuple[PlanSetting, ...]:
    """Those of that half of the API's body, in its order."""
    return tuple(each for each in PLAN_SETTINGS if each.half == half and each.name)


def build_defaults(half: PlanHalf) -> dict[str, Any]:
    """What a half takes where its body says nothing."""
    return {each.name: each.default for each in list_settings(half)}


def _list_form_fields(half: PlanHalf) -> tuple[str, ...]:
    """The form's fields of that half, but for its switch."""
    return tuple(
        name
        for section in FORM_SECTIONS
        if section.plan_section == half
        for name in section.fields
        if name not in SWITCH_FIELDS
    )


def _sort_settings(known: tuple[str, ...]) -> tuple[PlanSetting, ...]:
    """The table with these columns first; all others behind them, in its own order."""
    places = {column: place for place, column in enumerate(known)}
    return tuple(sorted(PLAN_SETTINGS, key=lambda each: places.get(each.column, len(known))))


SETTINGS_BY_COLUMN: Final = {each.column: each for each in PLAN_SETTINGS}
SECTION_FIELDS: Final = {half: _list_form_fields(half) for half in get_args(PlanHalf)}
# `force` is no setting: it is said with a change, and not kept.
FIELD_DEPENDENCIES: Final = {each.column: each.needs for each in PLAN_SETTINGS if each.needs} | {
    "force": f"{_COMPARES} context=last_message"
}
FORM_FIELD_BY_PARAM: Final = {"plan_name": "name"} | {
    each.param: each.column for each in PLAN_SETTINGS
}
FIELD_LABELS: Final = {"name": "Plan name"} | {each.column: each.label for each in PLAN_SETTINGS}
FIELD_HELP_TEXTS: Final = {
    "name": "What clients send as token_saving_plan_id. Unique within its owner.",
    "tenant": "Whose plan it is. Empty: the platform's, open to every tenant.",
} | {each.column: each.help for each in PLAN_SETTINGS if each.help}
# Risks and what a replay leaves out are told in orders that people and programs know.
SETTINGS_IN_RISK_ORDER: Final = _sort_settings(
    (
        "max_input_tokens",
        "ttl",
        "exact",
        "stale_while_revalidate",
        "stale_if_error",
        "scope",
        "tool_calls",
        "max_temperature",
        "time_sensitive",
        "personal",
        "window",
        "backend",
        "match",
        "similarity_threshold",
        "context",
    )
)
SETTINGS_IN_REPLAY_ORDER: Final = _sort_settings(
    (
        "backend",
        "context",
        "window",
        "tool_calls",
        "max_temperature",
        "time_sensitive",
        "personal",
        "ttl_jitter",
        "stale_while_revalidate",
        "stale_if_error",
    )
)

# What can go wrong, by the API's dotted name: for docs/plan-settings.md.
RISKS: Final = {
    "plan_name": (
        "After a rename, requests that send the old name go without a plan and save nothing."
    ),
    "preset": ("That of the preset chosen."),
    "reason": ("None."),
    "version": ("Without it, the later of two changes made at once wins."),
    "cache.force": ("As context last_message."),
} | {each.param: each.danger for each in PLAN_SETTINGS if each.danger}


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
