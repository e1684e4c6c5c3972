"""Observers of finished calls, besides the ledger."""

import logging

from proxy.conf import conf
from proxy.pipeline.call import Call
from proxy.pipeline.stage_times import list_stage_times
from proxy.pipeline.toolbox import Observer
from stats.events import Event
from stats.monitoring import metrics

log = logging.getLogger("tokenthrift.requests")


def select_observers(tracing: Observer | None) -> tuple[Observer, ...]:
    """Return the observers that the settings enable."""
    found: tuple[Observer, ...] = (
        (record_stage_times, log_decision) if conf.is_request_log_enabled else (record_stage_times,)
    )
    return found if tracing is None else (*found, tracing)


def log_decision(call: Call, event: Event) -> None:
    """Log the decision record, which holds no text of the request or its answer."""
    said = (event.event_id, event.status, event.tier, event.reason or "-", event.duration_ms)
    log.info("request %s: %d, %s (%s), %.1f ms", *said, extra={"decision": event})


def record_stage_times(call: Call, event: Event) -> None:
    """Record the duration of every stage that did something."""
    metrics.observe_stages([(name, ended - begun) for name, begun, ended in list_stage_times(call)])
