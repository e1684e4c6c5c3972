"""Edit conflicts in forms: what somebody else saved meanwhile is shown before it is overwritten.

The form carries, signed, the values it was opened with. If the saved row differs when the form is
sent, it comes back merged: fields this user did not touch show the values saved meanwhile, the
others keep what was typed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from django import forms
from django.contrib import admin
from django.core import signing
from django.db import models, transaction
from django.forms import model_to_dict
from django.http import HttpRequest

from plans import services
from plans.field_changes import EMPTY_TEXT
from plans.forms.form_data import build_posted_inputs
from plans.records import compute_row_version, get_row_history

OPENED_WITH_FIELD: Final = "opened_with"
SIGNING_SALT: Final = "plans.edit_conflicts"
CHOICE_SEPARATOR: Final = ","  # between primary keys
SECRETS_KEY: Final = ""  # in a token: key of the digests of secret columns
UNREADABLE_FORM_MESSAGE: Final = (
    "This page cannot tell what it was opened with. Open it again and repeat your change."
)
DELETED_MESSAGE: Final = "Somebody deleted this while you had it open. Nothing is saved."

InputsByField = Mapping[str, Mapping[str, str]]  # input values by input name, by field


class OpenedWithField(forms.CharField):
    """The hidden field with the values the form was opened with; it never counts as changed."""

    widget = forms.HiddenInput

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class EditConflictForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A form that is rejected, with both edits merged, if its row changed since it was opened.

    `read_version`: version of the saved row that the posted values were compared with.
    """

    opened_with = OpenedWithField(required=False)
    read_version = ""
    # Columns that no page shows, each with the form field that replaces its value.
    secret_columns: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            del self.fields[OPENED_WITH_FIELD]  # nothing is saved yet that could be overwritten
        else:
            self.fields[OPENED_WITH_FIELD].initial = self._sign_saved_row

    def _post_clean(self) -> None:
        """Lock the saved row, validate, then compare the posted values with the saved ones."""
        # After `clean`, so that nobody else waits for what it waits for, such as a backend's probe.
        # The lock lasts until the transaction of the page's save ends: until then nobody can change
        # the row, or take a name that was found free.
        with transaction.atomic():
            if self.instance.pk is None:
                services.lock_configuration()
                saved = None
            else:
                saved = services.lock_row(self.instance)
        super()._post_clean()  # type: ignore[misc]  # not in the stubs
        if saved is not None:
            self.read_version = compute_row_version(saved)
            self._refuse_if_changed(saved)
        elif self.instance.pk is not None:
            self.add_error(None, DELETED_MESSAGE)

    def list_saved_columns(self) -> set[str]:
        """Return the columns that belong to the form's enabled fields."""
        columns = {field.name for field in self._meta.model._meta.concrete_fields}
        return columns & {name for name, field in self.fields.items() if not field.disabled}

    def is_replacing_secret(self, field: str) -> bool:
        """Whether the posted value of this field replaces a secret column."""
        return bool(self.cleaned_data.get(field))

    def list_changes_since(self, token: str) -> list[str]:
        """Describe what was saved since a page with this token was opened, a sentence per change.

        Raises signing.BadSignature.
        """
        opened = self._read_token(token)
        row = self._meta.model._base_manager.filter(pk=self.instance.pk).first()
        if row is None:
            return [DELETED_MESSAGE]
        saved = self._build_row_inputs(row)
        found = [
            f"{self._describe_change(name, opened[name], saved[name])}."
            for name in saved
            if saved[name] != opened.get(name, saved[name])
        ]
        return [f"{_describe_changer(row)} while you had this open.", *found] if found else []

    def _read_token(self, token: str) -> InputsByField:
        opened: InputsByField = signing.loads(token, salt=self._build_salt())
        return opened

    def _refuse_if_changed(self, row: models.Model) -> None:
        token = self.data.get(self.add_prefix(OPENED_WITH_FIELD))
        if not token:
            return
        try:
            opened = self._read_token(token)
        except signing.BadSignature:
            self.add_error(None, UNREADABLE_FORM_MESSAGE)
            return
        saved, posted = self._build_row_inputs(row), self._read_posted_inputs()
        theirs = [name for name in saved if saved[name] != opened.get(name, saved[name])]
        conflicts = [name for name in theirs if saved[name] != posted[name]]
        secrets = self._list_secret_conflicts(opened, row)
        if not conflicts and not secrets:
            return
        mine = {name for name in conflicts if posted[name] != opened[name]}
        data: Any = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict
        for name in set(conflicts) - mine:
            _replace_inputs(
                data,
                (*opened[name], *posted[name]),
                saved[name],
                several=_is_multiple_choice(self.fields[name]),
            )
        data[self.add_prefix(OPENED_WITH_FIELD)] = self._sign_row(row)
        self.data = data
        self.add_error(
            None,
            [
                (
                    f"{_describe_changer(row)} while you had it open. Nothing of yours is saved "
                    "yet: "
                    "look and save again."
                )
            ],
        )
        for name in conflicts:
            self.add_error(
                None, self._describe_conflict(name, opened[name], saved[name], mine=name in mine)
            )
        for name in secrets:
            self.add_error(
                name,
                f"{self._get_label(name)}: somebody replaced it. To put yours in its place, say so "
                "once more.",
            )

    def _list_secret_conflicts(self, opened: InputsByField, row: models.Model) -> list[str]:
        """List the fields that replace a secret somebody else replaced meanwhile."""
        now = self._digest_secrets(row)
        then = opened.get(SECRETS_KEY, now)
        return [
            field
            for column, field in self.secret_columns.items()
            if now[column] != then.get(column) and self.is_replacing_secret(field)
        ]

    def _digest_secrets(self, row: models.Model) -> dict[str, str]:
        return {
            column: hashlib.sha256(bytes(getattr(row, column))).hexdigest()[:16]
            for column in self.secret_columns
        }

    def _describe_conflict(
        self, name: str, before: Mapping[str, str], after: Mapping[str, str], *, mine: bool
    ) -> str:
        now = self._describe_change(name, before, after)
        return (
            f"{now}. You changed it too: saving again puts yours in its place."
            if mine
            else f"{now}; it is in the form now."
        )

    def _describe_change(
        self, name: str, before: Mapping[str, str], after: Mapping[str, str]
    ) -> str:
        field = self.fields[name]
        old, new = _format_inputs(field, before), _format_inputs(field, after)
        return f"{self._get_label(name)}: {old} became {new}"

    def _get_label(self, name: str) -> str:
        return str(self.fields[name].label or name.replace("_", " ").capitalize())

    def _build_row_inputs(self, row: models.Model) -> dict[str, dict[str, str]]:
        """Return the inputs of each field as the form would show this row."""
        values = model_to_dict(row)
        return {
            name: _build_shown_inputs(
                self.add_prefix(name), field, field.prepare_value(values[name])
            )
            for name, field in self.fields.items()
            if name in values and not field.disabled
        }

    def _read_posted_inputs(self) -> dict[str, dict[str, str]]:
        """Return the posted inputs of each field, in the shape of `_build_row_inputs`."""
        found = {}
        for name, field in self.fields.items():
            inputs = _list_input_names(self.add_prefix(name), field)
            if _is_multiple_choice(field):
                found[name] = _join_choices(inputs[0], self.data.getlist(inputs[0]))  # type: ignore[attr-defined]  # a QueryDict
            else:
                found[name] = {
                    each: self.data[each].replace("\r\n", "\n")
                    for each in inputs
                    if each in self.data
                }
        return found

    def _sign_saved_row(self) -> str:
        """Return the token of the saved row, "" if it was deleted."""
        # The form may show unsaved settings instead, such as a preset's.
        row = self._meta.model._base_manager.filter(pk=self.instance.pk).first()
        return self._sign_row(row) if row is not None else ""

    def _sign_row(self, row: models.Model) -> str:
        shown = self._build_row_inputs(row) | {SECRETS_KEY: self._digest_secrets(row)}
        return signing.dumps(shown, salt=self._build_salt(), compress=True)

    def _build_salt(self) -> str:
        return f"{SIGNING_SALT}:{self._meta.model._meta.label}:{self.instance.pk}"


class EditConflictMixin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Detect edit conflicts; goes before ModelAdmin, with an `EditConflictForm` as `form`.

    The change form has the hidden field; a change is saved against the version it was compared
    with.
    """

    form = EditConflictForm

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            services.update_row(
                obj, read_version=form.read_version, columns=self.list_saved_columns(form)
            )
        else:
            services.create_row(obj)

    def list_saved_columns(self, form: Any) -> set[str]:
        """Return the columns that this form's change writes."""
        columns: set[str] = form.list_saved_columns()
        return columns

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Add the hidden field for users who may save, and remove it for others."""
        # Django would list it wherever a form has it.
        others = [
            (title, options | {"fields": _drop_opened_with_field(options["fields"])})
            for title, options in super().get_fieldsets(request, obj)
        ]
        if obj is not None and self.has_change_permission(request, obj):
            (title, options), *rest = others
            return [(title, options | {"fields": (*options["fields"], OPENED_WITH_FIELD)}), *rest]
        return others


def _drop_opened_with_field(names: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(name for name in names if name != OPENED_WITH_FIELD)


def _list_input_names(prefix: str, field: forms.Field) -> list[str]:
    if isinstance(field.widget, forms.MultiWidget):
        return list(build_posted_inputs(prefix, field, None))
    return [prefix]


def _is_multiple_choice(field: forms.Field) -> bool:
    return isinstance(field, forms.ModelMultipleChoiceField)


def _build_shown_inputs(name: str, field: forms.Field, value: Any) -> dict[str, str]:
    return (
        _join_choices(name, value)
        if _is_multiple_choice(field)
        else build_posted_inputs(name, field, value)
    )


def _join_choices(name: str, values: Iterable[Any]) -> dict[str, str]:
    """Join the chosen values, sorted, into one input; none chosen sends nothing."""
    chosen = sorted(str(value) for value in values or ())
    return {name: CHOICE_SEPARATOR.join(chosen)} if chosen else {}


def _replace_inputs(
    data: Any, names: Iterable[str], values: Mapping[str, str], *, several: bool
) -> None:
    """Replace the inputs `names` by `values`; an unticked box has no value."""
    for name in names:
        data.pop(name, None)
    for name, value in values.items():
        data.setlist(name, value.split(CHOICE_SEPARATOR) if several else [value])


def _format_inputs(field: forms.Field, inputs: Mapping[str, str]) -> str:
    """Format one field's value for display."""
    if isinstance(field, forms.BooleanField):
        return "yes" if inputs else "no"
    text = " ".join(value for value in inputs.values() if value).replace("\n", ", ")
    if _is_multiple_choice(field):
        chosen = set(text.split(CHOICE_SEPARATOR))
        return (
            ", ".join(str(label) for value, label in field.choices if str(value) in chosen)  # type: ignore[attr-defined]
            or EMPTY_TEXT
        )
    if isinstance(field, forms.ChoiceField):
        choices: Any = field.choices
        chosen_label = next((str(label) for value, label in choices if str(value) == text), text)
        text = chosen_label.partition(":")[0]  # the rest explains the choice
    return text or EMPTY_TEXT


def _describe_changer(row: models.Model) -> str:
    note = get_row_history(row).first() if hasattr(type(row), "history") else None
    who = (note.actor or str(note.history_user or "")) if note else ""
    return f"{who} changed {row}" if who else f"{row} was changed"
