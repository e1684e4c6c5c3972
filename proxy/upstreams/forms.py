"""Admin form of an upstream; its secrets are never rendered back."""

from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError

from plans.forms.edit_conflicts import EditConflictForm
from plans.forms.model_forms import LinesField
from proxy.models import Upstream
from proxy.upstreams import services
from proxy.upstreams.provider_choices import (
    describe_addresses,
    describe_key_headers,
    list_provider_choices,
)
from proxy.upstreams.secret_fields import SecretField, SecretPairsField, merge_pairs
from proxy.upstreams.secrets import UpstreamSecrets, read_present_secrets

NO_KEY_MESSAGE: Final = (
    "Type the provider's key, or tick “Send no key” if the server asks for none."
)
KEY_DROPPED_MESSAGE: Final = "Type the key again: a form that was refused does not keep it."
PROXY_DROPPED_MESSAGE: Final = (
    "Type the proxy's address again: a form that was refused does not keep it."
)
# Fields of one secret, with what is said when a refused form has dropped it.
DROPPED_MESSAGES: Final = {
    "provider_key": KEY_DROPPED_MESSAGE,
    "proxy_url": PROXY_DROPPED_MESSAGE,
}
# Columns that `services.check_upstream_values` looks at.
CHECKED_COLUMNS: Final = (
    "base_url",
    "provider",
    "allow_private",
    "forwarded_headers",
    *services.TLS_COLUMNS.values(),
)


class UpstreamForm(EditConflictForm):
    secret_columns: ClassVar = {
        "encrypted_key": "provider_key",
        "encrypted_headers": "headers",
        "encrypted_query": "query",
        "encrypted_proxy_url": "proxy_url",
    }

    provider = forms.ChoiceField(help_text="Where it is, how it takes a key, and its prices.")
    provider_key = SecretField(
        help_text="Kept encrypted and never shown again. Empty: keep the present one."
    )
    remove_key = forms.BooleanField(required=False, label="Remove the present key")
    without_key = forms.BooleanField(
        required=False,
        label="Send no key",
        help_text=(
            "For a server of your own that asks for none. A provider refuses requests without one."
        ),
    )
    headers = SecretPairsField(sign=":", label="Extra headers")
    query = SecretPairsField(sign="=", label="Query parameters")
    forwarded_headers = LinesField(required=False, label="Headers of clients")
    proxy_url = SecretField(label="Proxy")
    remove_proxy = forms.BooleanField(required=False, label="Remove the present proxy")

    class Meta:
        model = Upstream
        fields = (
            "name",
            "provider",
            "base_url",
            "allow_private",
            "key_header",
            "connect_timeout",
            "read_timeout",
            "stream_usage",
            "forwarded_headers",
            "ca_file",
            "client_certificate_file",
            "client_key_file",
        )
        labels: ClassVar = {"ca_file": "CA file"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._present, _ = read_present_secrets(self.instance)
        self._checked: services.CheckedUpstream | None = None
        self.fields["without_key"].initial = (
            self.instance.pk is not None and not self.instance.encrypted_key
        )
        # Empty becomes the provider's own; what is wrong is told by `clean`.
        if "base_url" not in self.fields:  # the upstream may only be read
            return
        self.fields["base_url"].required = False
        self._offer_providers()
        self._describe_secrets()

    def _offer_providers(self) -> None:
        field = self.fields["provider"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 -- declared above
        field.choices = list_provider_choices(present=self.instance.provider)
        field.widget.attrs["data-addresses"] = describe_addresses()
        self.fields["key_header"].help_text = describe_key_headers()
        self.fields["forwarded_headers"].help_text = Upstream._meta.get_field(
            "forwarded_headers"
        ).help_text

    def _describe_secrets(self) -> None:
        """Say what there is without a value of it."""
        self.fields["headers"].help_text = (
            f"Sent with every request. {_list_names(self._present.headers)} A line “name: value” "
            "adds or replaces one, “name:” removes it. Values are encrypted and not shown again."
        )
        self.fields["query"].help_text = (
            f"Added to every address. {_list_names(self._present.query)} A line “name=value” adds "
            "or replaces one, “name=” removes it."
        )
        self.fields["proxy_url"].help_text = (
            f"Such as http://user:password@proxy.example.com:3128. {describe_proxy(self._present)} "
            "Empty: keep the present one."
        )

    def full_clean(self) -> None:
        """Validate; if the form is refused, ask for secrets again, since they are not shown."""
        super().full_clean()
        if not self.errors:
            return
        for name, message in DROPPED_MESSAGES.items():
            if name not in self.errors and self.data.get(self.add_prefix(name)):
                self.add_error(name, message)
                data: Any = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict
                # Or the next try would save without the key.
                data.pop(self.add_prefix("without_key"), None)
                self.data = data

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("remove_key") and values.get("provider_key"):
            self.add_error("remove_key", "Either give a new key or remove the present one.")
        elif "provider_key" in values and not self._has_key_decision(values):
            self.add_error("provider_key", NO_KEY_MESSAGE)
        if values.get("remove_proxy") and values.get("proxy_url"):
            self.add_error("remove_proxy", "Either give a new proxy or remove the present one.")
        if all(name in values for name in (*CHECKED_COLUMNS, "headers", "query")):
            self._check_values(values)
        return values

    def _check_values(self, values: dict[str, Any]) -> None:
        """Check all that depends on each other, and take the corrected address."""
        drafted = Upstream(**{name: values[name] for name in CHECKED_COLUMNS})
        secrets = UpstreamSecrets(
            key=_choose(self.new_key(), self._present.key),
            headers=merge_pairs(self._present.headers, values["headers"]),
            query=merge_pairs(self._present.query, values["query"]),
            proxy_url=_choose(self.new_proxy(), self._present.proxy_url),
        )
        try:
            self._checked = services.check_upstream_values(drafted, secrets)
        except ValidationError as error:
            for name, messages in error.message_dict.items():
                self.add_error(name, messages)
            return
        values["base_url"] = self._checked.base_url
        values["forwarded_headers"] = self._checked.forwarded_headers

    def _has_key_decision(self, values: dict[str, Any]) -> bool:
        """Return whether there is a key, or it was said that there is to be none."""
        return bool(
            values["provider_key"]
            or self.instance.encrypted_key
            or values.get("remove_key")
            or values.get("without_key")
        )

    def is_replacing_secret(self, field: str) -> bool:
        return self.list_secret_changes().get(field) is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was corrected of the posted values, and what looks odd."""
        return self._checked.notes if self._checked else ()

    def list_secret_changes(self) -> dict[str, Any]:
        """Return the arguments for `services.save_upstream`; None keeps what there is."""
        values = self.cleaned_data
        secrets = self._checked.secrets if self._checked else self._present
        query = dict(secrets.query)
        return {
            "provider_key": self.new_key(),
            "headers": dict(secrets.headers) if values.get("headers") else None,
            "query": query if query != dict(self._present.query) else None,
            "proxy_url": self.new_proxy(),
        }

    def new_key(self) -> str | None:
        """Return the key for `services.save_upstream`: a new one, "" to remove, None to keep it."""
        if self.cleaned_data.get("remove_key"):
            return ""
        return self.cleaned_data.get("provider_key") or None

    def new_proxy(self) -> str | None:
        """Return the proxy for `services.save_upstream`, as `new_key` does the key."""
        if self.cleaned_data.get("remove_proxy"):
            return ""
        return self.cleaned_data.get("proxy_url") or None


def describe_proxy(secrets: UpstreamSecrets) -> str:
    """Say which proxy there is, without its user and password."""
    if not secrets.proxy_url:
        return "There is none."
    parts = urlsplit(secrets.proxy_url)
    host = parts.netloc.rpartition("@")[2]
    return f"Present: {host}{', with a password' if parts.password else ''}."


def _choose(new: str | None, present: str) -> str:
    return present if new is None else new


def _list_names(pairs: Any) -> str:
    return f"Present: {', '.join(sorted(pairs))}." if pairs else "There is none."
