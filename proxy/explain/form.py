"""The form of the explain page: a request, the model and the caller. Nothing is saved."""

from typing import Any, Final

import orjson
from django import forms
from django.utils.datastructures import MultiValueDict

from plans.models import Plan, VirtualKey
from proxy.conf import conf
from proxy.core.errors import BadRequest
from proxy.core.formats.chat_completions import load_json_object
from proxy.core.formats.pasted_chat import SPEAKER_LINE, parse_pasted_chat
from proxy.upstreams.selectors import select_routes

MAX_REQUEST_LENGTH: Final = 400_000


class ExplainForm(forms.Form):
    """Once valid, its `raw_body` is the body that would be sent to /v1."""

    asked = forms.CharField(
        label="Request",
        strip=False,
        max_length=MAX_REQUEST_LENGTH,
        widget=forms.Textarea(attrs={"rows": 7, "spellcheck": "false", "class": "tt-chat-text"}),
        help_text=(
            "A question, a JSON array of messages, a whole request body, or lines that begin with "
            "User: and Assistant:"
        ),
    )
    model = forms.ChoiceField(required=False)
    key = forms.ChoiceField(label="Asked by", required=False)

    def __init__(self, plan: Plan, data: MultiValueDict[str, str] | None = None) -> None:
        super().__init__(data)
        routes = select_routes(plan.tenant).values_list("name", "model")
        self._set_choices(
            "model",
            [("", "As in the request"), *((name, f"{name} ({model})") for name, model in routes)],
        )
        live = (
            VirtualKey.objects.filter(revoked_at=None)
            .select_related("tenant")
            .order_by("tenant__slug", "name")
        )
        keys = live.filter(tenant=plan.tenant) if plan.tenant else live
        nobody = [("", f"Any key of {plan.tenant}")] if plan.tenant and plan.scope != "key" else []
        self._set_choices(
            "key", [*nobody, *((str(key.pk), f"{key.name} ({key.tenant})") for key in keys)]
        )
        self.raw_body = b""

    def _set_choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 -- declared so above
        field.choices = choices

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if "asked" in values:
            try:
                body = _parse_request(values["asked"].strip())
            except BadRequest as error:
                self.add_error("asked", error.message)
                return values
            if values.get("model"):
                body["model"] = values["model"]
            if not body.get("model"):
                self.add_error("model", "Choose a model: the request names none.")
            self.raw_body = orjson.dumps(body)
        return values


def _parse_request(text: str) -> dict[str, Any]:
    """Build the request body from pasted text. Raises BadRequest."""
    if not text:
        raise BadRequest("Write a question, or paste a request.")
    if text.startswith("{"):
        return load_json_object(
            text.encode("utf-8", "replace"), depth=conf.limits.body_limits.depth
        )
    if text.startswith("[") or SPEAKER_LINE.match(text):
        return {"messages": parse_pasted_chat(text, depth=conf.limits.body_limits.depth).messages}
    return {"messages": [{"role": "user", "content": text.replace("\0", "")}]}
