"""Who is told of every finished call, besides the ledger."""

from proxy.core.exchange import Call
from proxy.core.ports import Watcher
from proxy.core.timed import times_of
from stats import metrics
from stats.measures import Event


def watchers(tracing: Watcher | None) -> tuple[Watcher, ...]:
    """As the settings say."""
    return (stages,) if tracing is None else (stages, tracing)


def stages(call: Call, event: Event) -> None:
    """The duration of every stage that had something to do."""
    metrics.observe_stages([(name, ended - begun) for name, begun, ended in times_of(call)])
