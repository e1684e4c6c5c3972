"""Forms of the first-run page. No secret is rendered back."""

from typing import Any, Final
from urllib.parse import urlsplit

from django import forms
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password

from proxy.core.providers import PROVIDERS, Provider
from proxy.core.upstream_urls import check_base_url, is_private
from proxy.models import Upstream
from proxy.upstreams.connection import MAX_MODEL_LENGTH

OWN_SERVER: Final = "own-server"
OWN_SERVER_TITLE: Final = "Another address, or a server of your own"
KNOWN_PROVIDERS: Final = {each.id: each for each in PROVIDERS if each.title and each.base_url}
SECRET_COLUMNS: Final = {"encrypted_key": "provider_key"}
DEFAULT_PRICE_LIST: Final[str] = Upstream._meta.get_field("provider").get_default()


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """The first account: a name and a password that Django's validators accept."""

    password = forms.CharField(
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="8 characters or more, neither common nor like the user name.",
    )

    class Meta:
        model = User
        fields = ("username",)
        help_texts = {"username": ""}  # noqa: RUF012 -- as Django's forms are declared

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # Django's own forms extend it too
        if password := self.cleaned_data.get("password"):
            try:
                validate_password(password, self.instance)
            except forms.ValidationError as error:
                self.add_error("password", error)


class ProviderSelect(forms.Select):
    """A choice of providers, each with its base URL for the script that fills it in."""

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        known = KNOWN_PROVIDERS.get(str(value))
        option["attrs"]["data-base-url"] = known.base_url if known else ""
        return option


class ProviderForm(forms.Form):
    """Where chat requests go, and with which key; `has_key`: one is kept already."""

    provider = forms.ChoiceField(
        choices=[
            *(
                (each.id, each.title)
                for each in KNOWN_PROVIDERS.values()
                if not each.is_self_hosted
            ),
            (OWN_SERVER, OWN_SERVER_TITLE),
            *((each.id, each.title) for each in KNOWN_PROVIDERS.values() if each.is_self_hosted),
        ],
        widget=ProviderSelect,
    )
    base_url = forms.CharField(
        required=False,
        max_length=500,
        label="Base URL",
        help_text="Up to and without /chat/completions. Empty: the provider’s own.",
        widget=forms.TextInput(attrs={"inputmode": "url", "spellcheck": "false"}),
    )
    provider_key = forms.CharField(
        required=False,
        label="Provider key",
        help_text="Kept encrypted, never shown again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, has_key: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._has_key = has_key
        if has_key:
            self.note_kept_key()

    def note_kept_key(self) -> None:
        self.fields["provider_key"].help_text = "Kept as you typed it: leave this empty to use it."

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        known = KNOWN_PROVIDERS.get(values.get("provider", ""))
        if "base_url" in values:
            self._clean_address(values, known)
        needs_key = known is not None and not known.is_self_hosted
        if needs_key and not (values.get("provider_key") or self._has_key or self.errors):
            self.add_error("provider_key", "Type your key of this provider.")
        return values

    def _clean_address(self, values: dict[str, Any], known: Provider | None) -> None:
        typed = values["base_url"] or (known.base_url if known else "")
        try:
            if not typed:
                raise ValueError("Type the server’s address, such as http://127.0.0.1:11434/v1.")
            # Without the guard first, so that it says what else is wrong with the address.
            url = check_base_url(typed, allow_private=True)
            private = is_private(urlsplit(url).hostname or "")
            if private and known and not known.is_self_hosted:
                raise ValueError(
                    "This is a loopback, private or local address: if the model is your own, "
                    f"choose “{OWN_SERVER_TITLE}”."
                )
        except ValueError as error:
            self.add_error("base_url", str(error))
            return
        values |= {"base_url": url, "allow_private": private}

    def add_problems(self, error: forms.ValidationError) -> None:
        """Show what is wrong with the upstream beside the fields it came from."""
        for column, messages in error.message_dict.items():
            name = SECRET_COLUMNS.get(column, column)
            self.add_error(name if name in self.fields else None, messages)

    def build_columns(self) -> dict[str, Any]:
        """Return the upstream's name and columns, for `service.save_provider`."""
        values = self.cleaned_data
        known = KNOWN_PROVIDERS.get(values["provider"])
        return {
            "name": values["provider"],
            # Of another server the models' names tell, as far as that list has them.
            "provider": known.id if known else DEFAULT_PRICE_LIST,
            "base_url": values["base_url"],
            "allow_private": values["allow_private"],
        }


def describe_upstream(upstream: Upstream) -> dict[str, str]:
    """Return what the provider's form shows of a saved upstream."""
    known = KNOWN_PROVIDERS.get(upstream.name)
    return {"provider": known.id if known else OWN_SERVER, "base_url": upstream.base_url}


class ModelForm(forms.Form):
    """The model behind the first route: one of the provider's list, or a name where it has none."""

    model = forms.CharField(
        max_length=MAX_MODEL_LENGTH, help_text="As the provider calls it.", label="Model"
    )

    def __init__(
        self, data: Any = None, *, models: tuple[str, ...] = (), proposed: str = ""
    ) -> None:
        super().__init__(data, initial={"model": proposed})
        if models:
            field = self.fields["model"]
            field.widget = forms.Select(choices=[(model, model) for model in models])
            field.help_text = "Clients ask for it by this name. More can be added later."

    def clean_model(self) -> str:
        model: str = self.cleaned_data["model"]
        if not model.isprintable():
            raise forms.ValidationError("Must be one line of printable text.")
        return model
