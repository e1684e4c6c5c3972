"""Every path Django serves; `gateway_project.asgi` sends /v1 to `proxy.asgi` instead.

Each path works with and without a trailing slash. Unknown paths under /token-saving get the error
object.
"""

from collections.abc import Callable
from typing import Any

from csp.decorators import csp_update
from django.contrib import admin
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, path
from django.utils.functional import lazy
from django.views.generic import RedirectView
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.views import SpectacularSwaggerSplitView

from accounts.invitations.views import invitation_page
from accounts.oidc.views import begin_login, finish_login
from accounts.password_reset.views import ConfirmView, DoneView, ResetView, SentView
from accounts.second_factor.views import code_page, set_up_page
from accounts.tokens import openapi  # noqa: F401 - importing registers the scheme
from gateway_project.path_prefix import put_prefix
from plans.api import views as api_views
from plans.api.schema_view import SchemaView
from proxy.config_api.keys import KeyRotationView, KeysView, KeyView
from proxy.config_api.plans import PlansView, PlanView
from proxy.config_api.views import (
    PricesView,
    PriceView,
    RoutesView,
    RouteView,
    TenantsView,
    TenantView,
    UpstreamsView,
    UpstreamView,
)
from proxy.entries.api import PlanEntriesView
from proxy.entries.invalidate_api import PlanInvalidateView
from proxy.explain.api import PlanExplainView
from proxy.explain.page import explain_page
from proxy.first_run.page import start_page, start_requests
from proxy.live_test.page import live_test_page
from proxy.plan_resolution.api import PlanResolutionView
from proxy.preview.api import PlanPreviewView
from proxy.preview.page import preview_page
from proxy.replay.api import PlanReplayView
from proxy.replay.page import replay_page
from stats.api.tuning import PlanTuningView
from stats.api.views import AllStatsView, PlanStatsView, SemanticTierView
from stats.dashboard.tuning_page import tuning_page
from stats.dashboard.views import dashboard_page, request_list, request_page, turn_semantic_tier_on
from stats.monitoring import views

SCHEMA_RENDERERS = [
    OpenApiJsonRenderer2,
    OpenApiJsonRenderer,
    OpenApiYamlRenderer2,
    OpenApiYamlRenderer,
]
# Swagger UI draws its icons as data: images; scripts and styles stay our own files.
docs_view = csp_update({"img-src": ["data:"]})(
    SpectacularSwaggerSplitView.as_view(template_name="api/docs.html", url_name="schema")
)


def build_slash_routes(route: str, view: Callable[..., Any], name: str) -> list[URLPattern]:
    """Build the route as given and with a trailing slash."""
    return [path(route, view, name=name), path(f"{route}/", view)]


urlpatterns: list[URLPattern | URLResolver] = [
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path(
        "admin/plans/plan/<int:plan>/preview/",
        admin.site.admin_view(preview_page),
        name="plan-preview-page",
    ),
    path(
        "admin/plans/plan/<int:plan>/explain/",
        admin.site.admin_view(explain_page),
        name="plan-explain-page",
    ),
    path(
        "admin/plans/plan/<int:plan>/tuning/",
        admin.site.admin_view(tuning_page),
        name="plan-tuning-page",
    ),
    path(
        "admin/plans/plan/<int:plan>/replay/",
        admin.site.admin_view(replay_page),
        name="plan-replay-page",
    ),
    path(
        "admin/plans/plan/<int:plan>/test/",
        admin.site.admin_view(live_test_page),
        name="plan-trial-page",
    ),
    path("admin/", admin.site.urls),
    path("account/code", code_page, name="login-code"),
    path("account/second-factor", set_up_page, name="second-factor"),
    path("account/invitation/<str:token>", invitation_page, name="invitation"),
    path("account/reset", ResetView.as_view(), name="password-reset"),
    path("account/reset/sent", SentView.as_view(), name="password-reset-sent"),
    path("account/reset/done", DoneView.as_view(), name="password-reset-done"),
    path(
        "account/reset/<str:uidb64>/<str:token>",
        ConfirmView.as_view(),
        name="password-reset-confirm",
    ),
    path("sso/login", begin_login, name="sso-login"),
    path("sso/callback", finish_login, name="sso-callback"),
    *build_slash_routes("token-saving/plans", PlansView.as_view(), "plans"),
    *build_slash_routes("token-saving/plans/<str:plan>", PlanView.as_view(), "plan"),
    *build_slash_routes(
        "token-saving/plans/<str:plan>/stats", PlanStatsView.as_view(), "plan-stats"
    ),
    *build_slash_routes(
        "token-saving/plans/<str:plan>/invalidate", PlanInvalidateView.as_view(), "plan-invalidate"
    ),
    *build_slash_routes(
        "token-saving/plans/<str:plan>/entries", PlanEntriesView.as_view(), "plan-entries"
    ),
    *build_slash_routes(
        "token-saving/plans/<str:plan>/semantic-tier/on",
        SemanticTierView.as_view(),
        "plan-semantic-tier-on",
    ),
    *build_slash_routes(
        "token-saving/plans/<str:plan>/preview", PlanPreviewView.as_view(), "plan-preview"
    ),
    *build_slash_routes(
        "token-saving/plans/<str:plan>/explain", PlanExplainView.as_view(), "plan-explain"
    ),
    *build_slash_routes(
        "token-saving/plans/<str:plan>/tuning", PlanTuningView.as_view(), "plan-tuning"
    ),
    *build_slash_routes(
        "token-saving/plans/<str:plan>/replay", PlanReplayView.as_view(), "plan-replay"
    ),
    *build_slash_routes("token-saving/upstreams", UpstreamsView.as_view(), "upstreams"),
    *build_slash_routes("token-saving/routes", RoutesView.as_view(), "routes"),
    *build_slash_routes("token-saving/tenants", TenantsView.as_view(), "tenants"),
    *build_slash_routes("token-saving/prices", PricesView.as_view(), "prices"),
    *build_slash_routes("token-saving/keys", KeysView.as_view(), "keys"),
    *build_slash_routes(
        "token-saving/keys/<path:name>/rotate", KeyRotationView.as_view(), "key-rotate"
    ),
    # Names may have slashes, as `smart/balanced` has: the view drops the last one.
    path("token-saving/upstreams/<path:name>", UpstreamView.as_view(), name="upstream"),
    path("token-saving/routes/<path:name>", RouteView.as_view(), name="route"),
    path("token-saving/tenants/<path:name>", TenantView.as_view(), name="tenant"),
    path("token-saving/prices/<path:name>", PriceView.as_view(), name="price"),
    path("token-saving/keys/<path:name>", KeyView.as_view(), name="key"),
    *build_slash_routes("token-saving/resolve", PlanResolutionView.as_view(), "plan-resolve"),
    *build_slash_routes("token-saving/stats", AllStatsView.as_view(), "stats"),
    *build_slash_routes(
        "token-saving/cache-engines", api_views.CacheEnginesView.as_view(), "cache-engines"
    ),
    *build_slash_routes(
        "token-saving/compression-engines",
        api_views.CompressionEnginesView.as_view(),
        "compression-engines",
    ),
    *build_slash_routes(
        "api/schema", SchemaView.as_view(renderer_classes=SCHEMA_RENDERERS), "schema"
    ),
    *build_slash_routes("api/docs", docs_view, "docs"),
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("dashboard-icon.svg"))),
    *build_slash_routes("start", start_page, "start"),
    *build_slash_routes("start/requests", start_requests, "start-requests"),
    path("", RedirectView.as_view(url=put_prefix("/dashboard/"))),
    *build_slash_routes("dashboard", dashboard_page, "dashboard"),
    *build_slash_routes("dashboard/requests", request_list, "dashboard-requests"),
    *build_slash_routes("dashboard/requests/<uuid:event>", request_page, "dashboard-request"),
    path(
        "dashboard/plans/<int:plan>/semantic-tier/on",
        turn_semantic_tier_on,
        name="dashboard-semantic-tier-on",
    ),
    *build_slash_routes("livez", views.livez, "livez"),
    *build_slash_routes("readyz", views.readyz, "readyz"),
    *build_slash_routes("healthz", views.readyz, "healthz"),
    *build_slash_routes("metrics", views.metrics_page, "metrics"),
    path("token-saving", api_views.UnknownPathView.as_view()),
    path("token-saving/<path:path>", api_views.UnknownPathView.as_view()),
    path("token-saving/", api_views.UnknownPathView.as_view()),
]

handler400 = "plans.api.error_responses.bad_request"
handler403 = "plans.api.error_responses.permission_denied"
handler404 = "plans.api.error_responses.page_not_found"
handler500 = "plans.api.error_responses.server_error"
