"""One run: everything started, measured part by part, checked and stopped."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from benchmarks import curves, idle, lag, limits, rates, reconcile, streams, workers
from benchmarks.bench import Bench, prepare
from benchmarks.curves import Curve
from benchmarks.place import Place, place
from benchmarks.tally import Tally
from demo.workspace import ROOT, fresh

FIGURES: Mapping[str, Callable[[Bench], dict[str, float]]] = {
    "exact": rates.hits,
    "stream": rates.streamed_hits,
    "pass": rates.passes,
    "miss": rates.misses,
    "open": streams.measure,
    "lag": lag.measure,
}
CURVES: Mapping[str, Callable[[Bench], dict[str, Curve]]] = {
    "connections": curves.by_connections,
    "plans": curves.by_plans,
}
PARTS = ("limits", *FIGURES, *CURVES, "workers")


@dataclass(slots=True, kw_only=True)
class Run:
    """The parts that are wanted, who is told which comes next, and what was found: figures and curves by name."""

    wanted: Collection[str]
    say: Callable[[str], None]
    figures: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    agreed: int = 0  # requests that all who counted agree on

    def measure(self) -> None:
        """All wanted parts. Raises what starting, sending or checking raises."""
        with fresh(ROOT / "var" / "bench") as var, place(var) as here:
            self.say("preparing")
            keys, tally = prepare(here), Tally()
            if self._wants("limits"):
                self.figures |= limits.measure(here)
            self._one_worker(here, keys, tally)
            if self._wants("workers"):
                self.figures |= workers.measure(here, keys, tally)

    def _one_worker(self, here: Place, keys: dict[str, str], tally: Tally) -> None:
        with idle.started(here, keys, tally) as (opened, figures):
            self.figures |= figures
            for name, measure in FIGURES.items():
                if self._wants(name):
                    self.figures |= measure(opened)
            for name, draw in CURVES.items():
                if self._wants(name):
                    self.curves |= draw(opened)
            self.say("agreement")
            self.agreed = reconcile.check(opened)

    def _wants(self, part: str) -> bool:
        if part not in self.wanted:
            return False
        self.say(part)
        return True
