"""Admin forms of plans and keys. A plan is judged by `plans.rules`, as over the API."""

from collections.abc import Collection
from typing import Any, ClassVar, Final

from django import forms

from plans import capabilities, rules, services
from plans.edit_conflicts import EditConflictForm
from plans.errors import InvalidPlan
from plans.models import ModelPrice, Plan, Tenant, VirtualKey
from plans.pricing import OWN, RATES
from plans.sections import NEEDS, SWITCHES, fields_of
from plans.snapshot import ALL_ROUTES, opens

HALF_FIELDS: Final = {"compression": fields_of("compression"), "cache": fields_of("cache")}
RENAMED: Final = {"plan_name": "name", "compression.engine": "compression_engine", "cache": "cache_enabled"}
LABELS: Final = {
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
HELP: Final = {
    "name": "What clients send as token_saving_plan_id. Unique within its owner.",
    "tenant": "Whose plan it is. Empty: the platform's, open to every tenant.",
    "mode": "Shadow pays the provider for every request, whole, and counts what the plan would have saved: to look before you leap. "
    "Off costs and saves nothing: every request goes to the provider as it is.",
    "max_input_tokens": "Histories longer than this are shortened before you pay for them. Shorter ones go as they are. At least 64.",
    "language": "Stop words and stems used to find the sentences worth paying for.",
    "focus": "With the question, what it needs is looked up in the old part of the chat, anew for every request: answers stay right far "
    "more often. Only TextRank can do that. Another engine brings its own best choice, unless you change this too.",
    "when": "Always is a promise: no prompt is longer. When it saves goes by the price list, by what your provider really bills as "
    "cached, and by how long your chats last: a long chat may then go as it is.",
    "min_sentences": "Keep at least this many sentences of what is shortened.",
    "deadline_ms": "When finding the sentences takes longer, this one request is cut as trim would. "
    "Empty: as long as the gateway lets any plan.",
    "exact": "The very same request costs nothing the second time.",
    "match": "The verifier reads both questions together: it tells “enable” from “disable”, which a cosine cannot. With the cosine, rules "
    "alone stand between a near question and a wrong answer.",
    "similarity_threshold": "Lower saves more and risks more wrong answers; higher saves less. 0.80 bold, 0.85 usual, 0.90 careful.",
    "max_error_rate": "Such as 0.01: of a hundred answers given again to a question in other words, one may be wrong. It is measured, and "
    "when it is more for certain, only identical requests are answered until you look. Empty: not measured.",
    "sample_rate": "Of the answers given again by meaning, this share is asked for at the provider too, after the reply, to see whether "
    "they were right. You pay for it; the dashboard says how much.",
    "judge_model": "Who says whether both answers are the same. Rules cost nothing; they know English words best, and take other numbers "
    "for another answer. A model is sent the question and both answers, and you pay for its calls; choose a small one that takes "
    "temperature 0. Measuring begins anew when you change this.",
    "ttl": "A repeat of the same question within this time costs nothing; after it, the provider is paid for a fresh answer.",
    "ttl_jitter": "Answers stored at once would expire at once, and all be paid for again in the same second. With 0.1 each lives up to "
    "a tenth less; never longer.",
    "stale_while_revalidate": "So long after its time to live the very same request is still answered at once, with the expired answer, "
    "while a new one is fetched for the next. 0: never.",
    "stale_if_error": "So long after its time to live the very same request gets the expired answer instead of an error when the provider "
    "is down, too slow or turns requests away. 0: never.",
    "scope": "The wider the circle that shares answers, the more is saved. Tenants never share.",
    "tool_calls": "A request that demands a call wants it as its output: asked again, the stored call saves the whole answer. All "
    "saves more, and the client then carries a stored call out again, as if the model had made it anew. Kept are only calls whose "
    "arguments are what the tool takes, and only identical requests get them.",
    "max_temperature": "Requests above it ask for variety: only identical ones are then answered for free.",
    "time_sensitive": "Such as “is it open right now?”. Saves more, may answer with old news.",
    "context": "On 1,217 pairs of chats, each choice at the usual threshold: strict reused 17 % of the right answers and never a wrong "
    "one; window 59 %, and 3 in 1,000 reused answers were wrong; last message 89 %, and half of what it reused was wrong.",
    "window": "With window: so many turns before the question are compared together with it. What is named anywhere in the chat must "
    "agree however long it is.",
    "holdout": "Such as 0.02: two of a hundred chats, chosen by lot, go to the provider whole and are answered by nobody else. What they "
    "cost beside all others is what the plan really saves, and no model has to be believed. It costs you that share of the saving; with "
    "less than some hundred such requests nothing can be said. 0: the saving is modelled only. Nothing is held out in shadow.",
    "personal": "Such as “where is my order 1234?”. Saves more, may answer one person with another's facts.",
}


PRICE_HELP: Final = {
    "input": "US dollars per million tokens.",
    "output": "US dollars per million tokens.",
    "cached_input": "US dollars per million tokens. Empty: the provider gives no discount.",
    "cache_write": "US dollars per million tokens that the provider writes into its prefix cache. Empty: the price of input.",
    "terms": "What else the provider asks for, one a line, such as “above 200000: input 2.5, output 15” for longer prompts, "
    "“from 00:30 to 16:30: input 0.27, output 1.1” (UTC), “since 2027-01-01: input 1, output 4”, "
    "“service tier flex: input 0.5, output 2”, or “input_audio 1”. "
    f"Rates: input, output, cached_input, cache_write, {', '.join(RATES)}; the last two in dollars each.",
}


def only_tenant(form: "forms.ModelForm[Any]") -> Tenant | None:
    """The one tenant that a row of this form can belong to; None where there is a choice, the platform among them."""
    field = form.fields.get("tenant")
    choices = field.queryset if isinstance(field, forms.ModelChoiceField) and field.required else None
    found = list(choices[:2]) if choices is not None else []
    return found[0] if len(found) == 1 else None


class PlanForm(EditConflictForm):
    """The flat fields of a plan. `clean` puts them into the API's shape and asks the rules."""

    force = forms.BooleanField(
        required=False,
        label="Last message though chats use this plan",
        help_text="Needed once, to choose the last message alone for a plan whose requests of the last 7 days were turns of longer chats.",
    )

    class Meta:
        model = Plan
        fields = ("name", "tenant", "mode", *SWITCHES, *HALF_FIELDS["compression"], *HALF_FIELDS["cache"], "holdout")
        labels = LABELS
        help_texts = HELP

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "focus" in self.fields:
            self.fields["focus"].required = False  # left out or left alone, the rules choose what fits the engine
        if "holdout" in self.fields:
            self.fields["holdout"].required = False  # nothing said: nothing held out
        system = capabilities.current()
        engines = [(engine.name, engine.title) for engine in system.compression_engines()]
        self._choose(
            "compression_engine", [("", "None: send every history whole"), *engines], "Which sentences of a long history to pay for."
        )
        self._choose("language", [(language, language.capitalize()) for language in system.languages()], HELP["language"])
        backends = [
            (engine.name, engine.title if engine.available else f"{engine.title} (not available)") for engine in system.cache_engines()
        ]
        self._choose(
            "backend",
            [("", "None: identical requests only"), *backends],
            "Where they are compared by meaning, so that they cost nothing either. None is the safe choice: then only the very same "
            "request is answered again.",
        )
        routes = capabilities.of(self._owner(), system).routes()
        self._choose("judge_model", [("", "Rules: nobody is paid"), *((route, route) for route in routes)], HELP["judge_model"])
        for name, needs in NEEDS.items():
            if name in self.fields:
                self.fields[name].widget.attrs["data-needs"] = needs

    def _owner(self) -> Tenant | None:
        """Whose plan it is, or will be where nothing else can be chosen."""
        tenant: Tenant | None = self.instance.tenant or only_tenant(self)
        return tenant

    def _choose(self, name: str, choices: list[tuple[str, str]], help_text: str) -> None:
        """Make a text column a choice of what the running system can do. A saved value that it can no longer do stays in the list."""
        if name not in self.fields:
            return
        saved = getattr(self.instance, name)
        if saved and saved not in dict(choices):
            choices = [*choices, (saved, f"{saved} (not available)")]
        self.fields[name] = forms.TypedChoiceField(
            choices=choices,
            required=name == "language",
            empty_value=None,
            label=LABELS.get(name, name.capitalize()),
            help_text=help_text,
            initial=saved,
        )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if "holdout" in values:
            values["holdout"] = values["holdout"] or 0.0
        base = services.draft_of(self.instance) if self.instance.pk else None
        try:
            system = capabilities.of(values.get("tenant", self.instance.tenant))
            draft = rules.read(self._as_body(values), capabilities=system, base=base)
            values["focus"] = (draft.compression or self.instance).focus
        except InvalidPlan as refusal:
            for param, problem in refusal.problems.items():
                field = RENAMED.get(param, param.partition(".")[2] or param)
                if field not in self.errors:  # the form's own check of the field has spoken
                    self.add_error(field if field in self.fields else None, problem)
        twin = Plan.objects.filter(tenant=values.get("tenant"), name=values.get("name")).exclude(pk=self.instance.pk)
        if "name" in values and "tenant" in values and twin.exists():
            self.add_error("name", "This owner has a plan of that name already.")
        return values

    def _as_body(self, values: dict[str, Any]) -> dict[str, Any]:
        """The API's JSON for what the form says. A field that is not valid in itself is left out."""
        body: dict[str, Any] = {"plan_name": values.get("name"), "mode": values.get("mode")}
        halves = {half: {name: values[name] for name in names if name in values} for half, names in HALF_FIELDS.items()}
        if "focus" not in self.changed_data or not values.get("focus"):
            halves["compression"].pop("focus", None)
        engine = values.get("compression_engine")
        body["compression"] = halves["compression"] | {"engine": engine} if engine else None
        body["cache"] = halves["cache"] if values.get("cache_enabled") else None
        body |= {"holdout": values["holdout"]} if "holdout" in values else {}
        return body


class LinesField(forms.CharField):
    """A list of texts, one a line."""

    widget = forms.Textarea(attrs={"rows": 4})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (super().to_python(value) or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((initial or []) != self.to_python(data))


class TenantForm(EditConflictForm):
    """Which routes a tenant may use is for the platform to say: people of tenants have no such form."""

    routes = LinesField(
        required=False,
        help_text="Names of the routes that keys of this tenant may use, one a line, such as smart/balanced; * for all, "
        "also those made later. Empty: none.",
    )

    class Meta:
        model = Tenant
        fields = ("slug", "name", "max_entries", "max_bytes", "routes")

    def clean_routes(self) -> list[str]:
        names: list[str] = self.cleaned_data["routes"]
        if ALL_ROUTES in names:
            return [ALL_ROUTES]
        accepted = capabilities.current().routes()
        # A misspelt name would open nothing, silently. One whose route went is no reason to refuse another change.
        if strange := sorted(set(names) - set(accepted) - set(self.instance.routes)):
            raise forms.ValidationError(_no_such_route(strange, accepted, f"{ALL_ROUTES} means all."))
        return names


def _no_such_route(strange: Collection[str], accepted: Collection[str], hint: str) -> str:
    shown = f"Accepted are: {', '.join(accepted)}." if accepted else "There is none yet."
    return f"No such route: {', '.join(strange)}. {shown} {hint}"


class VirtualKeyForm(EditConflictForm):
    routes = LinesField(
        required=False,
        help_text="Names of the routes this key may use, one a line, such as smart/balanced. Empty: all that its tenant may use.",
    )

    class Meta:
        model = VirtualKey
        fields = ("name", "tenant", "routes", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Django gives a date with a time two inputs and one label, which belongs to neither.
        for part, widget in zip(("date", "time"), getattr(self.fields["expires_at"].widget, "widgets", ()), strict=False):
            widget.attrs["aria-label"] = f"Expires at, {part} (UTC)"
        if owner := self._owner():
            accepted = capabilities.of(owner).routes()
            self.fields["routes"].help_text += f" {owner} may use: {', '.join(accepted) or 'none yet'}."

    def _owner(self) -> Tenant | None:
        """Whose key it is, or will be where nothing else can be chosen."""
        tenant: Tenant | None = self.instance.tenant if self.instance.pk else only_tenant(self)
        return tenant

    def clean(self) -> dict[str, Any]:
        """A key narrows what its tenant may use, and never widens it."""
        values = super().clean() or self.cleaned_data
        owner = self.instance.tenant if self.instance.pk else values.get("tenant")
        if owner is not None and "routes" in values:
            strange = [name for name in values["routes"] if name not in self.instance.routes and not opens(owner.routes, name)]
            if strange:
                accepted = capabilities.of(owner).routes()
                self.add_error("routes", _no_such_route(strange, accepted, "Empty means all of them."))
        return values


class ModelPriceForm(EditConflictForm):
    class Meta:
        model = ModelPrice
        fields = ("provider", "model", *OWN, "terms")
        help_texts = PRICE_HELP
        widgets: ClassVar = {"terms": forms.Textarea(attrs={"rows": 6, "cols": 80})}
