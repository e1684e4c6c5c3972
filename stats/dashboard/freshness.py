"""How fresh the dashboard's figures are and whether everything answers, in words."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from asgiref.sync import async_to_sync

from plans.models import Tenant
from stats.ledger.backlog import standing
from stats.models.requests import RequestEvent
from stats.monitoring import health

BEHIND: Final = timedelta(seconds=10)  # what is counted later than that is late


@dataclass(frozen=True, slots=True)
class Freshness:
    """`last`: when the newest request of those one may see was made;
    `complete_to`: until when all requests are in the figures, None: until now; `troubles`: what
    does not work, as sentences."""

    last: datetime | None
    complete_to: datetime | None
    troubles: tuple[str, ...]

    @property
    def age(self) -> float | None:
        """Seconds since the newest request."""
        return None if self.last is None else (datetime.now(UTC) - self.last).total_seconds()


def freshness(tenant: Tenant | None) -> Freshness:
    """A few small queries; what the services say is at most a second old."""
    _, body = async_to_sync(health.report)()
    spooled = body.get("spool_lag_seconds")
    lag = timedelta(
        seconds=max(standing().fold_lag, spooled if isinstance(spooled, int | float) else 0)
    )
    return Freshness(
        _last(tenant), datetime.now(UTC) - lag if lag > BEHIND else None, tuple(_troubles(body))
    )


def _troubles(body: dict[str, object]) -> list[str]:
    redis, found = body.get("redis"), []
    if redis != "ok":
        found.append(f"Redis {_state(redis)}: requests go straight to the provider")
    if body.get("database") != "ok":
        found.append(
            f"The database {_state(body.get('database'))}: requests are kept on disk "
            "and counted later"
        )
    return found


def _state(word: object) -> str:
    return "answers slowly" if word == "slow" else "does not answer"


def _last(tenant: Tenant | None) -> datetime | None:
    rows = (
        RequestEvent.objects.all()
        if tenant is None
        else RequestEvent.objects.filter(tenant_id=tenant.pk)
    )
    return rows.order_by("-at").values_list("at", flat=True).first()
