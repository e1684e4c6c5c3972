"""Admin form of an upstream. Its provider key goes in and is never rendered back."""

from typing import Any

from django import forms

from proxy import services
from proxy.core.addresses import check_base_url
from proxy.models import Upstream


class UpstreamForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    provider_key = forms.CharField(
        required=False,
        strip=True,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off"}),
        help_text="Kept encrypted and never shown again. Empty: keep the present one.",
    )
    remove_key = forms.BooleanField(required=False, label="Remove the present key")

    class Meta:
        model = Upstream
        fields = ("name", "provider", "base_url", "allow_private", "connect_timeout", "read_timeout", "stream_usage")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if "base_url" in values:
            try:
                values["base_url"] = check_base_url(values["base_url"], allow_private=values.get("allow_private", False))
            except ValueError as error:
                self.add_error("base_url", str(error))
        if values.get("remove_key") and values.get("provider_key"):
            self.add_error("remove_key", "Either give a new key or remove the present one.")
        return values

    def clean_provider_key(self) -> str:
        try:
            return services.checked_provider_key(self.cleaned_data["provider_key"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def new_key(self) -> str | None:
        """What `services.save_upstream` is to do with the key: a new one, "" to remove it, None to keep it."""
        if self.cleaned_data.get("remove_key"):
            return ""
        return self.cleaned_data.get("provider_key") or None
