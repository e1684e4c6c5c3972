"""Explain what a plan would do with a request, on behalf of a virtual key or tenant."""

import time
from dataclasses import replace

from plans.api_errors import AmbiguousKey, ApiError, KeyNotFound
from plans.models import Plan, Tenant
from plans.snapshot import KeySnapshot
from proxy import bridge
from proxy.core.config import ConfigSnapshot
from proxy.core.request_ids import new_request_id
from proxy.pipeline.call import Call
from proxy.pipeline.clients import NullClient
from proxy.pipeline.explain import Explanation, explain_request
from proxy.pipeline.toolbox import Toolbox

MAX_NEIGHBOURS = 5
CACHE_TIMEOUT_SECONDS = 2.0  # for the caches; they and compression also have their own deadlines
EXPLAIN_TIMEOUT_SECONDS = 15.0


class CallerRequired(ApiError):
    status = 400


class PlanNotActive(ApiError):
    status = 409
    code = "plan_not_in_force"


class ExplainUnavailable(ApiError):
    status = 503
    code = "explain_unavailable"


def explain_raw_request(raw: bytes, plan: Plan, tenant: Tenant | None, key: str) -> Explanation:
    """Explain what would happen to this body, sent by `key` under `plan`.

    `key`: id or name; "" for any key of the tenant. Raises ApiError, or GatewayError where /v1
    would refuse the request.
    """

    async def work(tools: Toolbox) -> Explanation:
        directory = tools.config_source.config
        now = time.monotonic()
        asker = find_caller(directory, plan, tenant, key)
        call = Call(
            request_id=new_request_id(),
            at=time.time(),
            started_at=now,
            client=NullClient(),
            config=directory,
            key=asker,
            raw_body=raw,
        )
        within = replace(tools, limits=replace(tools.limits, cache_seconds=CACHE_TIMEOUT_SECONDS))
        return await explain_request(
            call, within, plan=plan.name, neighbours=MAX_NEIGHBOURS, seconds=CACHE_TIMEOUT_SECONDS
        )

    try:
        found = bridge.run_in_loop(work, seconds=EXPLAIN_TIMEOUT_SECONDS)
    except bridge.GatewayNotRunning:
        raise ExplainUnavailable(
            "The gateway does not run in this process, so it cannot be asked."
        ) from None
    except TimeoutError:
        raise ExplainUnavailable("The caches did not answer in time: try again.") from None
    if found.decided_call.plan is None or found.decided_call.plan.id != plan.pk:
        raise PlanNotActive(
            "For this tenant another plan of that name is in force, or this one has not been read "
            "yet: try again in a moment."
        )
    return found


def find_caller(
    directory: ConfigSnapshot, plan: Plan, tenant: Tenant | None, key: str
) -> KeySnapshot:
    """Return the named key, else an anonymous one of that tenant or of the plan's.

    Raises KeyNotFound, also for another tenant's key, AmbiguousKey or CallerRequired.
    """
    owner = tenant or plan.tenant
    if key:
        live = [
            each for each in directory.keys.values() if owner is None or each.tenant_id == owner.pk
        ]
        found = [each for each in live if str(each.id) == key] or [
            each for each in live if each.name == key
        ]
        if not found:
            raise KeyNotFound("No live virtual key of that id or name.", param="key")
        if len(found) > 1:
            raise AmbiguousKey("Several keys have that name: give the id.", param="key")
        return found[0]
    if owner is None:
        raise CallerRequired(
            "This plan is open to every tenant: say who asks, by ?key= or ?tenant=.", param="tenant"
        )
    if plan.cache_enabled and plan.scope == "key":
        raise CallerRequired(
            "Under this plan each key has its own answers: say which one asks, by ?key=.",
            param="key",
        )
    return KeySnapshot(
        id=0,
        name="",
        digest="",
        tenant_id=owner.pk,
        tenant=owner.slug,
        tenant_plan_id=owner.default_plan_id,
    )
