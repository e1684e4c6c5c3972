"""/start: from an empty installation to the first cached answer, in a browser.

`manage.py serve` prints its address with a token while there is no staff account. Whoever opened
it makes the account, and goes on as that account. Afterwards it is open to superusers until there
is a route, and to the session that made the first key until its first cached answer.
"""

from typing import Any, Final

from django.contrib.auth import login
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from plans.client_snippets import SAMPLE_QUESTION, build_key_snippets
from plans.models import VirtualKey
from proxy.first_run import service
from proxy.first_run.forms import AccountForm, ModelForm, ProviderForm, describe_upstream
from proxy.first_run.setup_token import SETUP_TOKEN_SECONDS, claim_setup, is_claim_valid
from proxy.models import Route
from proxy.upstreams import encryption
from proxy.upstreams.connection import ConnectionReport, check_upstream

CLAIM_ENTRY: Final = "first_run_claim"
KEY_ENTRY: Final = "first_run_key"
# A provider key that was typed into a form that was refused, encrypted as in the database.
TYPED_KEY_ENTRY: Final = "first_run_provider_key"
DEFAULT_NAME: Final = "admin"
# The backend that would have logged them in.
LOGIN_BACKEND: Final = "django.contrib.auth.backends.ModelBackend"


@never_cache
@require_http_methods(["GET", "POST"])
def start_page(request: HttpRequest) -> HttpResponse:
    """Show or take the form of the step that is next; the same 404 for everybody else."""
    if "token" in request.GET:
        return _open_with_token(request)
    if not service.has_staff_account():
        return _account_step(request)
    if not service.may_set_up(request.user):
        return _render_closed(request)
    if key := _find_key(request):
        return _request_step(request, key)
    return _provider_or_model_step(request)


@never_cache
@require_safe
def start_requests(request: HttpRequest) -> HttpResponse:
    """Render what became of the first key's requests, for the page that waits for them."""
    key = _find_key(request) if service.may_set_up(request.user) else None
    if key is None:
        raise Http404
    return render(request, "start/requests.html", _describe_requests(key))


def _open_with_token(request: HttpRequest) -> HttpResponse:
    """Claim the set-up for this session; then the address without the token."""
    # A browser that loads ahead would use the token up for a page that nobody sees.
    ahead = "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))
    if request.method != "GET" or ahead or service.has_staff_account():
        return _render_closed(request)
    if claim := claim_setup(request.GET["token"]):
        request.session.flush()
        request.session[CLAIM_ENTRY] = claim
        request.session.set_expiry(SETUP_TOKEN_SECONDS)
    elif not is_claim_valid(request.session.get(CLAIM_ENTRY)):  # or it is opened a second time
        return _render_closed(request)
    return redirect("start")


def _account_step(request: HttpRequest) -> HttpResponse:
    if not is_claim_valid(request.session.get(CLAIM_ENTRY)):
        return _render_closed(request)
    if request.method == "GET":
        return _render_forms(
            request, AccountForm(initial={"username": DEFAULT_NAME}), _build_provider_form(request)
        )
    account = AccountForm(request.POST)
    provider = _build_provider_form(request, request.POST)
    if not account.is_valid():
        provider.is_valid()
        _keep_typed_key(request, provider)
        return _render_forms(request, account, provider, status=400)
    try:
        user = service.create_first_account(
            username=account.cleaned_data["username"], password=account.cleaned_data["password"]
        )
    except service.AlreadySetUp:
        return redirect("start")
    del request.session[CLAIM_ENTRY]
    login(request, user, backend=LOGIN_BACKEND)
    request.session.set_expiry(None)  # from now on as every session
    return _take_provider(request, provider)


def _provider_or_model_step(request: HttpRequest) -> HttpResponse:
    if service.has_route():
        return redirect("dashboard")
    if request.method == "POST":
        if "model" in request.POST:
            return _take_model(request)
        return _take_provider(request, _build_provider_form(request, request.POST))
    upstream = service.find_saved_upstream()
    if upstream is None or "provider" in request.GET:
        return _render_forms(request, None, _build_provider_form(request))
    report = check_upstream(upstream)
    if report.state == "failed" and "unlisted" not in request.GET:
        return _render_forms(request, None, _build_provider_form(request), report=report)
    proposed = service.choose_model(report.models, provider=upstream.provider)
    return _render_model(request, ModelForm(models=report.models, proposed=proposed), report)


def _take_provider(request: HttpRequest, form: ProviderForm) -> HttpResponse:
    if form.is_valid():
        typed = form.cleaned_data["provider_key"] or _read_typed_key(request)
        try:
            service.save_provider(**form.build_columns(), provider_key=typed or None)
        except service.AlreadySetUp:
            return redirect("start")
        except ValidationError as error:
            form.add_problems(error)
        else:
            request.session.pop(TYPED_KEY_ENTRY, None)
            return redirect("start")  # which tests the connection
    _keep_typed_key(request, form)
    return _render_forms(request, None, form, status=400)


def _take_model(request: HttpRequest) -> HttpResponse:
    form, upstream = ModelForm(request.POST), service.find_saved_upstream()
    if upstream is None:
        return redirect("start")
    if form.is_valid():
        try:
            key, secret = service.create_first_key(
                upstream=upstream, model=form.cleaned_data["model"]
            )
        except service.AlreadySetUp:
            return redirect("start")
        except ValidationError as error:
            form.add_error("model", error.messages)
        else:
            request.session[KEY_ENTRY] = key.pk
            return _render_request(request, key, secret)
    return _render_model(request, form, None, status=400)


def _request_step(request: HttpRequest, key: VirtualKey) -> HttpResponse:
    if _describe_requests(key)["finished"]:
        del request.session[KEY_ENTRY]
        return redirect("dashboard")
    return _render_request(request, key)


def _find_key(request: HttpRequest) -> VirtualKey | None:
    """Return the key that this session made here, while it may be used."""
    pk = request.session.get(KEY_ENTRY)
    return VirtualKey.objects.filter(pk=pk, revoked_at=None).first() if pk else None


def _describe_requests(key: VirtualKey) -> dict[str, Any]:
    rows = service.list_requests(key)
    return {
        "rows": rows,
        "answered": any(row.outcome == "ok" for row in rows),
        "finished": any(row.outcome == "ok" and row.tier == "exact" for row in rows),
        "upstream": service.find_saved_upstream(),
        "route": Route.objects.order_by("pk").first(),
    }


def _build_provider_form(request: HttpRequest, data: Any = None) -> ProviderForm:
    upstream = service.find_saved_upstream()
    return ProviderForm(
        data,
        has_key=bool(request.session.get(TYPED_KEY_ENTRY) or (upstream and upstream.encrypted_key)),
        initial=describe_upstream(upstream) if upstream else {},
    )


def _keep_typed_key(request: HttpRequest, form: ProviderForm) -> None:
    """Keep a key that was typed into a refused form, so that it need not be typed again."""
    if key := form.cleaned_data.get("provider_key"):
        request.session[TYPED_KEY_ENTRY] = encryption.encrypt(key).decode()
        form.note_kept_key()


def _read_typed_key(request: HttpRequest) -> str:
    try:
        return encryption.decrypt(request.session.get(TYPED_KEY_ENTRY, "").encode())
    except encryption.DecryptionFailed:
        return ""


def _render_closed(request: HttpRequest) -> HttpResponse:
    """Say how one gets in, and nothing of whether there is an account."""
    return render(request, "start/closed.html", status=404)


def _render_forms(
    request: HttpRequest,
    account: AccountForm | None,
    provider: ProviderForm,
    *,
    report: ConnectionReport | None = None,
    status: int = 200,
) -> HttpResponse:
    page = {"account": account, "provider": provider, "report": report, "step": 1}
    return render(request, "start/provider.html", page, status=status)


def _render_model(
    request: HttpRequest, form: ModelForm, report: ConnectionReport | None, *, status: int = 200
) -> HttpResponse:
    page = {"form": form, "report": report, "upstream": service.find_saved_upstream(), "step": 2}
    return render(request, "start/model.html", page, status=status)


def _render_request(
    request: HttpRequest, key: VirtualKey, secret: str | None = None
) -> HttpResponse:
    page = _describe_requests(key) | {
        "key": key,
        "secret": secret,
        "snippets": build_key_snippets(key, request),
        "question": SAMPLE_QUESTION,
        "step": 3,
    }
    return render(request, "start/request.html", page)
