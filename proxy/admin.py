"""The gateway's admin pages, imported here so that Django registers them."""

from proxy.entries.admin import EntryAdmin, EntryLookAdmin
from proxy.feedback.admin import WrongAnswerAdmin
from proxy.upstreams.admin import RouteAdmin, UpstreamAdmin

__all__ = ["EntryAdmin", "EntryLookAdmin", "RouteAdmin", "UpstreamAdmin", "WrongAnswerAdmin"]
