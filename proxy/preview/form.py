"""The form of the preview page: a chat, and compression settings to try. Nothing is saved."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django import forms
from django.utils.datastructures import MultiValueDict

from plans import capabilities, validation
from plans.api_errors import InvalidPlan
from plans.fields import SETTINGS_BY_COLUMN
from plans.models import Plan
from plans.snapshot import CompressionSettings
from proxy.conf import conf
from proxy.core.errors import BadRequest
from proxy.core.formats.pasted_chat import PastedChat, parse_pasted_chat
from proxy.core.types import Message
from proxy.preview.service import resolve_compression_settings
from proxy.upstreams.selectors import PricedModel, find_model, select_routes

# Some 100,000 tokens: what a page can show and a person can read.
MAX_CHAT_LENGTH: Final = 400_000
EXAMPLES_FOLDER: Final = Path(__file__).parent / "examples"


@dataclass(frozen=True, slots=True)
class ExampleChat:
    """A built-in chat, with a budget small enough that something is left out."""

    title: str
    file_name: str
    budget_tokens: int

    @property
    def text(self) -> str:
        return (EXAMPLES_FOLDER / self.file_name).read_text("utf-8")


EXAMPLES: Final = {
    "moving": ExampleChat("Moving house, as lines", "moving.txt", 900),
    "support": ExampleChat("A support desk with tools, as JSON", "support.json", 900),
}
DRAFT_FIELDS: Final = ("engine", "focus", "max_input_tokens", "when", "language")


@dataclass(frozen=True, slots=True)
class PreviewInput:
    """The cleaned input of a preview."""

    messages: list[Message]
    settings: CompressionSettings
    model: PricedModel


class PreviewForm(forms.Form):
    """Once valid, it has a `preview_input`."""

    chat_text = forms.CharField(
        required=False,
        label="Chat",
        strip=False,
        widget=forms.Textarea(attrs={"rows": 9, "spellcheck": "false", "class": "tt-chat-text"}),
        help_text=(
            "A JSON array of messages, a whole request body, or lines that begin with "
            "User: and Assistant:"
        ),
    )
    engine = forms.ChoiceField()
    focus = forms.ChoiceField(label="Chosen for", required=False)
    max_input_tokens = forms.IntegerField(
        label="Most input tokens",
        min_value=int(SETTINGS_BY_COLUMN["max_input_tokens"].low),
        max_value=int(SETTINGS_BY_COLUMN["max_input_tokens"].high),
    )
    when = forms.ChoiceField(label="Shorten")
    language = forms.ChoiceField()
    model = forms.ChoiceField(required=False)

    def __init__(self, plan: Plan, data: MultiValueDict[str, str] | None = None) -> None:
        half = plan.build_snapshot().compression or validation.DEFAULT_COMPRESSION
        super().__init__(data, initial={name: getattr(half, name) for name in DRAFT_FIELDS})
        self.plan = plan
        system = capabilities.get_capabilities()
        self._set_choices(
            "engine", [(engine.name, engine.title) for engine in system.list_compression_engines()]
        )
        for name in ("focus", "when"):
            choices = SETTINGS_BY_COLUMN[name].choices.items()
            self._set_choices(name, [(value, label.partition(":")[0]) for value, label in choices])
        self._set_choices(
            "language", [(language, language.capitalize()) for language in system.list_languages()]
        )
        routes = select_routes(plan.tenant).values_list("name", "model")
        self._set_choices(
            "model",
            [
                ("", "As in the chat, or the first route"),
                *((name, f"{name} ({model})") for name, model in routes),
            ],
        )
        self._pasted_chat: PastedChat | None = None
        self.preview_input: PreviewInput | None = None

    def _set_choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 -- declared so above
        field.choices = choices

    def clean_chat_text(self) -> str:
        text: str = self.cleaned_data["chat_text"]
        if not text.strip():
            raise forms.ValidationError("Paste a chat, or take one of the examples.")
        if len(text) > MAX_CHAT_LENGTH:
            raise forms.ValidationError(
                f"This chat has {len(text):,} characters, and this page shows {MAX_CHAT_LENGTH:,} "
                "at "
                "most. The API takes longer ones: POST "
                f"/token-saving/plans/{self.plan.name}/preview"
            )
        try:
            self._pasted_chat = parse_pasted_chat(text, depth=conf.limits.body_limits.depth)
        except BadRequest as error:
            raise forms.ValidationError(error.message) from None
        return text

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        draft = {name: values[name] for name in DRAFT_FIELDS if name in values}
        if "focus" not in self.changed_data or not draft.get("focus"):
            draft.pop("focus", None)  # another engine has its own default
        try:
            settings = resolve_compression_settings(self.plan, {"compression": draft})
        except InvalidPlan as refusal:
            for param, problem in refusal.problems.items():
                field = param.partition(".")[2]
                if field not in self.errors:  # not already reported by the field itself
                    self.add_error(field if field in self.fields else None, problem)
        if self._pasted_chat and not self.errors:
            self.preview_input = PreviewInput(
                self._pasted_chat.messages,
                settings,
                find_model(values["model"] or self._pasted_chat.model, self.plan.tenant),
            )
        return values


def build_draft_plan(plan: Plan, sent: Mapping[str, str]) -> Plan:
    """Return an unsaved copy of the plan with the compression settings of its own form.

    Invalid values stay as saved.
    """
    draft = copy(plan)
    draft.compression_engine = sent.get("compression_engine") or None
    for name in DRAFT_FIELDS[1:]:
        try:
            value = Plan._meta.get_field(name).clean(sent.get(name), draft)  # type: ignore[union-attr]  # all are columns
        except forms.ValidationError:
            continue
        setattr(draft, name, value)
    return draft
