"""What the running system can do: implements the port of `plans.capabilities` with live checks."""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Final

from gateway_project import backend_probes
from gateway_project.backend_probes import probe_pgvector, probe_redis_search
from plans.capabilities import ChatTurnCounts, CompressionEngineOption, EngineOption, KeyUsage
from proxy.conf import conf
from proxy.core.compression import algorithm_registry
from proxy.core.text.languages import LANGUAGES
from proxy.engines.registry import SEMANTIC_CACHES
from proxy.models import Route
from stats.reports import selectors, totals


class RunningCapabilities:
    """Compression engines from the registry; cache backends as they answer now."""

    def list_compression_engines(self) -> list[CompressionEngineOption]:
        return [
            CompressionEngineOption(
                name, engine.title, focus=("question", "none") if engine.focus else ("none",)
            )
            for name, engine in algorithm_registry.ENGINES.items()
        ]

    def list_cache_engines(self) -> list[EngineOption]:
        return [
            _build_engine(name, title, self.find_backend_problem(name))
            for name, (title, _) in BACKEND_PROBES.items()
        ]

    def list_languages(self) -> list[str]:
        return list(LANGUAGES)

    def list_routes(self) -> list[str]:
        return list(
            Route.objects.filter(enabled=True).order_by("name").values_list("name", flat=True)
        )

    def list_route_plans(self) -> dict[str, str]:
        routes = Route.objects.filter(enabled=True, default_plan__isnull=False).order_by("name")
        return dict(routes.values_list("name", "default_plan__name"))

    def count_later_turns(self, plan_id: int) -> ChatTurnCounts:
        return ChatTurnCounts(*selectors.count_later_turns(plan_id))

    def sum_recent_savings(self, plan_ids: Collection[int]) -> dict[int, Decimal]:
        return totals.sum_recent_savings(plan_ids)

    def count_key_uses(self, key_ids: Collection[int]) -> dict[int, KeyUsage]:
        return {
            key: KeyUsage(requests, last_at)
            for key, (requests, last_at) in totals.count_key_uses(key_ids).items()
        }

    def find_backend_problem(self, backend: str) -> str | None:
        if backend not in BACKEND_PROBES:
            return f"Must be one of: {', '.join(BACKEND_PROBES)}."
        return BACKEND_PROBES[backend][1]()

    def find_verifier_problem(self) -> str | None:
        from proxy.engines.inference.exported_models import is_prepared
        from proxy.engines.verifiers.pair_model import find_folder_problem

        if conf.verifier_folder is not None:
            return find_folder_problem(conf.verifier_folder, runs=False)
        return (
            None
            if is_prepared(conf.models_folder)
            else "The verifier is not prepared: run manage.py prepare_embedder."
        )


def _build_engine(name: str, title: str, refusal: str | None) -> EngineOption:
    return EngineOption(name, title, available=refusal is None, reason=refusal or "")


BACKEND_PROBES: Final[Mapping[str, tuple[str, Callable[[], str | None]]]] = {
    "pgvector_semantic": (SEMANTIC_CACHES["pgvector_semantic"].title, probe_pgvector),
    "redis_semantic": (SEMANTIC_CACHES["redis_semantic"].title, probe_redis_search),
    "qdrant_semantic": (SEMANTIC_CACHES["qdrant_semantic"].title, backend_probes.probe_qdrant),
}
