"""What the running system can do: fills the port of `plans.capabilities` with live checks."""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Final

from gateway_project import backend_probes
from gateway_project.backend_probes import pgvector_refusal, redis_refusal
from plans.capabilities import CompressionEngine, Engine, KeyUse, Traffic
from proxy.conf import conf
from proxy.core.compression import registry
from proxy.core.text.languages import LANGUAGES
from proxy.engines.registry import SEMANTIC
from proxy.models import Route
from stats.reports import selectors, totals


class RunningCapabilities:
    """Compression as the catalogue lists it; cache backends as they answer now."""

    def compression_engines(self) -> list[CompressionEngine]:
        return [
            CompressionEngine(
                name, engine.title, focus=("question", "none") if engine.focus else ("none",)
            )
            for name, engine in registry.ENGINES.items()
        ]

    def cache_engines(self) -> list[Engine]:
        return [_engine(name, title, self.refusal(name)) for name, (title, _) in BACKENDS.items()]

    def languages(self) -> list[str]:
        return list(LANGUAGES)

    def routes(self) -> list[str]:
        return list(
            Route.objects.filter(enabled=True).order_by("name").values_list("name", flat=True)
        )

    def chats(self, plan_id: int) -> Traffic:
        return Traffic(*selectors.turns(plan_id))

    def saved_lately(self, plan_ids: Collection[int]) -> dict[int, Decimal]:
        return totals.saved_lately(plan_ids)

    def key_uses(self, key_ids: Collection[int]) -> dict[int, KeyUse]:
        return {
            key: KeyUse(requests, last_at)
            for key, (requests, last_at) in totals.key_uses(key_ids).items()
        }

    def refusal(self, backend: str) -> str | None:
        if backend not in BACKENDS:
            return f"Must be one of: {', '.join(BACKENDS)}."
        return BACKENDS[backend][1]()

    def verifier_refusal(self) -> str | None:
        from proxy.engines.verifiers.weights import is_prepared  # brings numpy

        return (
            None
            if is_prepared(conf.models)
            else "The verifier is not prepared: run manage.py prepare_embedder."
        )


def _engine(name: str, title: str, refusal: str | None) -> Engine:
    return Engine(name, title, available=refusal is None, reason=refusal or "")


BACKENDS: Final[Mapping[str, tuple[str, Callable[[], str | None]]]] = {
    "pgvector_semantic": (SEMANTIC["pgvector_semantic"].title, pgvector_refusal),
    "redis_semantic": (SEMANTIC["redis_semantic"].title, redis_refusal),
    "qdrant_semantic": (SEMANTIC["qdrant_semantic"].title, backend_probes.qdrant_refusal),
}
