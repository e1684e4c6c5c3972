"""Forms as a browser would send them back."""

from typing import Any

from django import forms
from django.http import HttpRequest, QueryDict


def as_posted(form: forms.BaseForm) -> QueryDict:
    """The values that an unbound form shows, as if it was sent as it stands."""
    data = QueryDict(mutable=True)
    for bound in form:
        value, widget = bound.value(), bound.field.widget
        if isinstance(widget, forms.MultiWidget):
            for number, part in enumerate(widget.decompress(value) or ()):
                data[f"{bound.html_name}_{number}"] = "" if part is None else str(part)
        elif isinstance(widget, forms.CheckboxInput):
            if value:
                data[bound.html_name] = "on"
        else:
            data[bound.html_name] = "" if value is None else str(value)
    return data


def kept(request: HttpRequest, *besides: str) -> list[tuple[str, Any]]:
    """What was sent, for hidden fields of a page that asks once more."""
    return [(name, value) for name, values in request.POST.lists() for value in values if name not in {"csrfmiddlewaretoken", *besides}]
