"""How fresh the dashboard's figures are and whether all services answer, in words."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from asgiref.sync import async_to_sync

from plans.models import Tenant
from stats.ledger.backlog import measure_backlog
from stats.models.requests import RequestEvent
from stats.monitoring import health

MAX_FIGURES_LAG: Final = timedelta(seconds=10)  # figures behind by more are late


@dataclass(frozen=True, slots=True)
class Freshness:
    """How complete the figures are.

    `last`: time of the newest visible request; `complete_to`: until when all requests are included,
    None for until now; `troubles`: what does not work, as sentences.
    """

    last: datetime | None
    complete_to: datetime | None
    troubles: tuple[str, ...]

    @property
    def age(self) -> float | None:
        """Seconds since the newest request."""
        return None if self.last is None else (datetime.now(UTC) - self.last).total_seconds()


def measure_freshness(tenant: Tenant | None) -> Freshness:
    """Measure the freshness with a few small queries; service states are at most a second old."""
    _, body = async_to_sync(health.build_report)()
    spooled = body.get("spool_lag_seconds")
    lag = timedelta(
        seconds=max(
            measure_backlog().rollup_lag_seconds, spooled if isinstance(spooled, int | float) else 0
        )
    )
    return Freshness(
        _find_last_request_at(tenant),
        datetime.now(UTC) - lag if lag > MAX_FIGURES_LAG else None,
        tuple(_describe_troubles(body)),
    )


def _describe_troubles(body: dict[str, object]) -> list[str]:
    redis, found = body.get("redis"), []
    if redis != "ok":
        found.append(f"Redis {_describe_state(redis)}: requests go straight to the provider")
    if body.get("database") != "ok":
        found.append(
            f"The database {_describe_state(body.get('database'))}: requests are kept on disk "
            "and counted later"
        )
    return found


def _describe_state(word: object) -> str:
    return "answers slowly" if word == "slow" else "does not answer"


def _find_last_request_at(tenant: Tenant | None) -> datetime | None:
    rows = (
        RequestEvent.objects.all()
        if tenant is None
        else RequestEvent.objects.filter(tenant_id=tenant.pk)
    )
    return rows.order_by("-at").values_list("at", flat=True).first()
