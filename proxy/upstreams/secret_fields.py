"""Form fields for secrets, whose present values no page shows."""

from collections.abc import Mapping
from typing import Any, Final

from django import forms

MAX_LINES: Final = 100
MAX_TEXT_LENGTH: Final = 64 * 1024

# None: the name is removed.
PairChanges = dict[str, str | None]


class SecretField(forms.CharField):
    """One secret. What was typed is not in the page of a form that was refused."""

    def __init__(self, **fields: Any) -> None:
        widget = forms.PasswordInput(render_value=False, attrs={"autocomplete": "off"})
        super().__init__(required=False, strip=True, widget=widget, **fields)


class SecretPairsField(forms.CharField):
    """Changes of names with secret values, a line each; empty changes nothing.

    `<name><sign><value>` adds or replaces, `<name><sign>` removes.
    """

    def __init__(self, *, sign: str, **fields: Any) -> None:
        self._sign = sign
        widget = forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"})
        super().__init__(required=False, widget=widget, **fields)

    def to_python(self, value: Any) -> Any:
        changes: PairChanges = {}
        text = super().to_python(value) or ""
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > MAX_LINES or len(text) > MAX_TEXT_LENGTH:
            raise forms.ValidationError(
                f"At most {MAX_LINES} lines of {MAX_TEXT_LENGTH} characters together are accepted."
            )
        for number, line in enumerate(lines, start=1):
            name, sign, said = (part.strip() for part in line.partition(self._sign))
            if not (name and sign):
                raise forms.ValidationError(
                    f"Line {number}: must be a name, {self._sign} and a value."
                )
            changes[name] = said or None
        return changes

    def validate(self, value: Any) -> None:
        """Do nothing: `to_python` looked at it."""

    def run_validators(self, value: Any) -> None:
        """Do nothing: `clean` of the form knows what is accepted."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((data or "").strip())


def merge_pairs(present: Mapping[str, str], changes: PairChanges) -> dict[str, str]:
    """Return the present pairs with the changes; names of headers are the same in any case."""
    changed = {name.lower() for name in changes}
    kept = {name: value for name, value in present.items() if name.lower() not in changed}
    return kept | {name: value for name, value in changes.items() if value is not None}
