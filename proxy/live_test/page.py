"""/admin/plans/plan/{id}/test/: send one real request under a plan twice.

The page says what that costs before anything is sent.
"""

import secrets
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from plans.access import get_user_tenant
from plans.client_snippets import build_plan_snippets
from plans.models import Plan, Tenant
from proxy.live_test.service import GatewayUnreachable, run_live_test
from proxy.models import Route
from proxy.upstreams.selectors import select_routes

CHANGE_PERMISSION: Final = "plans.change_plan"


class LiveTestForm(forms.Form):
    """What to ask, and as which tenant; a plan of the platform is tried for any tenant."""

    question = forms.CharField(
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Sent to your provider as it stands.",
    )
    route = forms.ModelChoiceField(
        Route.objects.none(), to_field_name="name", empty_label=None, label="Model"
    )
    tenant = forms.ModelChoiceField(
        Tenant.objects.none(),
        empty_label=None,
        help_text="Whose request it is, and who pays for it.",
    )

    def __init__(self, plan: Plan, data: Any = None, *, person: Any) -> None:
        super().__init__(
            data, initial={"question": f"Say hello in one short sentence. ({secrets.token_hex(3)})"}
        )
        own = plan.tenant or get_user_tenant(person)
        routes = self.fields["route"]
        assert isinstance(routes, forms.ModelChoiceField)  # noqa: S101 -- likewise
        routes.queryset = select_routes(own)
        tenants = self.fields["tenant"]
        assert isinstance(tenants, forms.ModelChoiceField)  # noqa: S101 -- declared so above
        tenants.queryset = Tenant.objects.filter(pk=own.pk) if own else Tenant.objects.all()


@require_http_methods(["GET", "HEAD", "POST"])
def live_test_page(request: HttpRequest, plan: int) -> HttpResponse:
    """Show the form and the replies, to staff who may change the plan."""
    # Sending costs money, and creates a key for a minute.
    row = admin.site.get_model_admin(Plan).get_object(request, str(plan))
    if not isinstance(row, Plan):
        raise Http404
    if not request.user.has_perm(CHANGE_PERMISSION):
        raise PermissionDenied
    form = LiveTestForm(row, request.POST or None, person=request.user)
    page: dict[str, Any] = {
        "title": f"Test of {row.name}",
        "opts": Plan._meta,
        "original": row,
        "form": form,
        "snippets": build_plan_snippets(row, request),
    }
    if form.is_valid():
        try:
            page["replies"] = run_live_test(
                plan=row,
                tenant=form.cleaned_data["tenant"],
                route=form.cleaned_data["route"].name,
                question=form.cleaned_data["question"],
                base_url=_build_own_address(request),
            )
        except GatewayUnreachable as error:
            page["unreachable"] = str(error)
    status = 400 if form.is_bound and not form.is_valid() else 200
    return render(
        request, "admin/trial.html", admin.site.each_context(request) | page, status=status
    )


def _build_own_address(request: HttpRequest) -> str:
    """Return the address this process listens on, as its server says."""
    # Not from the Host header, which a browser controls.
    host, port = request.META["SERVER_NAME"], request.META["SERVER_PORT"]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
