"""Form data as a browser would send it."""

from typing import Any

from django import forms
from django.http import HttpRequest, QueryDict


def build_posted_data(form: forms.BaseForm) -> QueryDict:
    """Build the data a browser sends for this unbound form if nothing is edited."""
    data = QueryDict(mutable=True)
    for bound in form:
        for name, value in build_posted_inputs(bound.html_name, bound.field, bound.value()).items():
            data[name] = value
    return data


def build_posted_inputs(name: str, field: forms.Field, value: Any) -> dict[str, str]:
    """Return the inputs a browser sends for a field that shows `value`, by input name.

    An unticked box sends nothing.
    """
    widget = field.widget
    if isinstance(widget, forms.MultiWidget):
        endings: list[str] = widget.widgets_names  # type: ignore[attr-defined]  # not in the stubs
        parts = zip(endings, widget.widgets, widget.decompress(value) or (), strict=False)
        return {f"{name}{ending}": _format_input(part, each) for ending, part, each in parts}
    if isinstance(widget, forms.CheckboxInput):
        return {name: "on"} if value else {}
    return {name: _format_input(widget, value)}


def _format_input(widget: forms.Widget, value: Any) -> str:
    shown = value if isinstance(widget, forms.Select) else widget.format_value(value)
    return "" if shown is None else str(shown)


def list_hidden_inputs(request: HttpRequest, *besides: str) -> list[tuple[str, Any]]:
    """List the posted inputs but for `besides`, as hidden fields of a confirmation page."""
    return [
        (name, value)
        for name, values in request.POST.lists()
        for value in values
        if name not in {"csrfmiddlewaretoken", *besides}
    ]
