"""One run: everything started, measured part by part, checked and stopped."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks import (
    curves,
    detached,
    idle,
    lag,
    limits,
    machine,
    rates,
    reconcile,
    semantic,
    stalls,
    streams,
    workers,
)
from benchmarks.bench import Bench, prepare
from benchmarks.curves import Curve
from benchmarks.peers import measure as measure_peers
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
PARTS = ("limits", "workers", *FIGURES, *CURVES, "semantic", "compress", "stalls")


@dataclass(slots=True, kw_only=True)
class Run:
    """The parts and peers that are wanted, who is told which comes next, and what was found:
    figures, curves and rivals by name."""

    wanted: Collection[str]
    peers: Sequence[str] = ()
    say: Callable[[str], None]
    figures: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    rivals: dict[str, dict[str, float | str]] = field(default_factory=dict)
    agreed: int = 0  # requests that all who counted agree on
    others: float = 0.0  # cores that other programs kept busy meanwhile

    def measure(self) -> None:
        """All wanted parts. Raises what starting, sending or checking raises."""
        others = machine.Others()
        if self._wants("stalls"):
            self.figures |= stalls.measure()
        with fresh(ROOT / "var" / "bench") as var, place(var) as here:
            self.say("preparing")
            keys, tally = prepare(here), Tally()
            if self._wants("limits"):
                self.figures |= limits.measure(here)
            if self._wants("workers"):
                self.figures |= workers.measure(here, keys, tally)
            self._one_worker(here, keys, tally)
            if self._wants("compress"):
                figures, drawn = detached.compression(here)
                self.figures |= figures
                self.curves |= drawn
            if self.peers:
                self.say("peers")
                self._compare(here)
            self.others = others.cores()

    def _one_worker(self, here: Place, keys: dict[str, str], tally: Tally) -> None:
        with idle.started(here, keys, tally) as (opened, figures):
            self.figures |= figures
            for name, measure in FIGURES.items():
                if self._wants(name):
                    self.figures |= measure(opened)
            for name, draw in CURVES.items():
                if self._wants(name):
                    self.curves |= draw(opened)
            if self._wants("semantic"):
                self._semantic(opened)
            self.say("agreement")
            self.agreed = reconcile.check(opened)

    def _semantic(self, opened: Bench) -> None:
        found = semantic.measure(opened)
        self.figures |= {
            "semantic_hit_p50_ms": found.hit_p50_ms,
            "semantic_hit_p99_ms": found.hit_p99_ms,
            "semantic_growth": found.growth,
        }
        self.curves["semantic_ms_by_entries"] = found.look_ups

    def _compare(self, here: Place) -> None:
        """The peers' figures and, where both have one, how many times theirs ours is."""
        self.rivals = measure_peers(
            self.peers, f"{here.upstream}/v1", here.services.redis, min(machine.GATEWAY_CORE)
        )
        for name, rival in self.rivals.items():
            for ours, theirs in (("exact_hit", "cached"), ("passthrough", "passthrough")):
                other = rival.get(f"{theirs}_rps")
                if isinstance(other, float) and f"{ours}_rps" in self.figures:
                    self.figures[f"{ours}_vs_{name}"] = self.figures[f"{ours}_rps"] / other

    def _wants(self, part: str) -> bool:
        if part not in self.wanted:
            return False
        self.say(part)
        return True
