"""Admin form of an upstream; its provider key is never rendered back."""

from typing import Any, ClassVar, Final

from django import forms

from plans.forms.edit_conflicts import EditConflictForm
from proxy.core.upstream_urls import check_base_url
from proxy.models import Upstream
from proxy.upstreams import services

NO_KEY_MESSAGE: Final = (
    "Type the provider's key, or tick “Send no key” if the server asks for none."
)
KEY_DROPPED_MESSAGE: Final = "Type the key again: a form that was refused does not keep it."


class UpstreamForm(EditConflictForm):
    secret_columns: ClassVar = {"encrypted_key": "provider_key"}

    provider_key = forms.CharField(
        required=False,
        strip=True,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off"}),
        help_text="Kept encrypted and never shown again. Empty: keep the present one.",
    )
    remove_key = forms.BooleanField(required=False, label="Remove the present key")
    without_key = forms.BooleanField(
        required=False,
        label="Send no key",
        help_text=(
            "For a server of your own that asks for none. A provider refuses requests without one."
        ),
    )

    class Meta:
        model = Upstream
        fields = (
            "name",
            "provider",
            "base_url",
            "allow_private",
            "connect_timeout",
            "read_timeout",
            "stream_usage",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["without_key"].initial = (
            self.instance.pk is not None and not self.instance.encrypted_key
        )

    def full_clean(self) -> None:
        """Validate; if the form is refused, ask for the key again, since it is not shown."""
        super().full_clean()
        if (
            self.errors
            and "provider_key" not in self.errors
            and self.data.get(self.add_prefix("provider_key"))
        ):
            self.add_error("provider_key", KEY_DROPPED_MESSAGE)
            data: Any = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict
            # Or the next try would save without the key.
            data.pop(self.add_prefix("without_key"), None)
            self.data = data

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if "base_url" in values:
            try:
                values["base_url"] = check_base_url(
                    values["base_url"], allow_private=values.get("allow_private", False)
                )
            except ValueError as error:
                self.add_error("base_url", str(error))
        if values.get("remove_key") and values.get("provider_key"):
            self.add_error("remove_key", "Either give a new key or remove the present one.")
        elif "provider_key" in values and not self._has_key_decision(values):
            self.add_error("provider_key", NO_KEY_MESSAGE)
        return values

    def _has_key_decision(self, values: dict[str, Any]) -> bool:
        """Return whether there is a key, or it was said that there is to be none."""
        return bool(
            values["provider_key"]
            or self.instance.encrypted_key
            or values.get("remove_key")
            or values.get("without_key")
        )

    def clean_provider_key(self) -> str:
        try:
            return services.validate_provider_key(self.cleaned_data["provider_key"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def is_replacing_secret(self, field: str) -> bool:
        return self.new_key() is not None

    def new_key(self) -> str | None:
        """Return the key for `services.save_upstream`: a new one, "" to remove, None to keep it."""
        if self.cleaned_data.get("remove_key"):
            return ""
        return self.cleaned_data.get("provider_key") or None
