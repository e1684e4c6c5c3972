"""Cost against size, drawn: one picture for each curve, in `benchmarks/plots/`.

What a picture says stands in its title, from its data.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.curves import Curve

FOLDER = Path(__file__).resolve().parent / "plots"
INK, GREY = "#333333", "#8a8a8a"
COLOURS = ("#1f5fa8", "#c4581a", "#2f7d4f")
PLAIN = FuncFormatter(lambda value, _: f"{value:,g}")
Curves = Mapping[str, Curve]


def draw(curves: Curves, folder: Path = FOLDER) -> list[Path]:
    """Draw every picture whose curves were measured; where they are."""
    mpl.use("Agg")
    folder.mkdir(exist_ok=True)
    made = []
    for name, (needed, picture) in PICTURES.items():
        if all(key in curves for key in needed):
            figure = Figure(figsize=(7.2, 4.4), dpi=130, layout="constrained")
            picture(_axes(figure), curves)
            file = folder / f"{name}.png"
            figure.savefig(file, metadata={"Software": None})
            made.append(file)
    return made


def _axes(figure: Figure) -> Axes:
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, which="both", labelsize=9)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_formatter(PLAIN)
    return axes


def _line(axes: Axes, curve: Curve, place: int, label: str) -> None:
    """A line with a mark at each measurement and its name in its own colour at its right end."""
    sizes, values = zip(*curve, strict=True)
    colour = COLOURS[place]
    axes.plot(sizes, values, color=colour, linewidth=2, marker="o", markersize=4.5)
    axes.annotate(
        label,
        (sizes[-1], values[-1]),
        xytext=(8, 0),
        textcoords="offset points",
        color=colour,
        va="center",
        fontsize=9,
    )


def _ticks(axes: Axes, curve: Curve) -> None:
    """A logarithmic axis of sizes that names just the sizes measured."""
    axes.set_xscale("log")
    axes.set_xticks([size for size, _ in curve])
    axes.xaxis.set_major_formatter(PLAIN)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()


def _names(axes: Axes, title: str, across: str, up: str) -> None:
    axes.set_title(title, loc="left", color=INK, fontsize=11, pad=12)
    axes.set_xlabel(across, color=INK, fontsize=9.5)
    axes.set_ylabel(up, color=INK, fontsize=9.5)


def _connections(axes: Axes, curves: Curves) -> None:
    hits, passes = curves["hits_by_connections"], curves["passes_by_connections"]
    _line(axes, hits, 0, "exact hits")
    _line(axes, passes, 1, "pass-through")
    _ticks(axes, hits)
    axes.set_ylim(bottom=0)
    rates = dict(hits)
    title = (
        f"A core answers {rates[16]:,.0f} hits a second at 16 connections and "
        f"{rates[256]:,.0f} at 256"
    )
    _names(
        axes,
        title,
        "connections, each with one request under way",
        "requests a second, one worker on one core",
    )


def _plans(axes: Axes, curves: Curves) -> None:
    curve = curves["hit_us_by_plans"]
    _line(axes, curve, 0, "exact hit")
    _ticks(axes, curve)
    axes.set_ylim(0, 1.2 * max(value for _, value in curve))
    (few, low), (many, high) = curve[0], curve[-1]
    title = (
        f"A hit takes {low:,.0f} µs of a core with {few:,.0f} plans and {high:,.0f} "
        f"µs with {many:,.0f}"
    )
    _names(axes, title, "plans, all of them in use", "microseconds for a hit")


def _compression(axes: Axes, curves: Curves) -> None:
    curve = curves["compress_ms_by_sentences"]
    (few, low), (many, high) = curve[0], curve[-1]
    allowed = [(size, low * (size / few) ** 1.3) for size, _ in curve]
    axes.plot(*zip(*allowed, strict=True), color=GREY, linewidth=1.2, linestyle="--")
    axes.annotate(
        "$n^{1.3}$, the limit",
        allowed[-1],
        xytext=(8, 0),
        textcoords="offset points",
        color=GREY,
        va="center",
        fontsize=9,
    )
    _line(axes, curve, 0, "text_rank")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(PLAIN)
    _ticks(axes, curve)
    title = f"{few:,.0f} sentences take {low:,.1f} ms to compress, {many:,.0f} take {high:,.0f} ms"
    _names(axes, title, "sentences of a chat, none of them seen before", "milliseconds, one core")


def _semantic(axes: Axes, curves: Curves) -> None:
    curve = curves["semantic_ms_by_entries"]
    _line(axes, curve, 0, "pgvector")
    axes.axhline(2 * curve[0][1], color=GREY, linewidth=1.2, linestyle="--")
    axes.annotate(
        "twice the first",
        (curve[0][0], 2 * curve[0][1]),
        xytext=(0, 4),
        textcoords="offset points",
        color=GREY,
        fontsize=9,
    )
    axes.set_ylim(bottom=0)
    _ticks(axes, curve)
    (few, low), (many, high) = curve[0], curve[-1]
    title = (
        f"A look-up takes {low:.2g} ms among {few:,.0f} entries and {high:.2g} ms among {many:,.0f}"
    )
    _names(axes, title, "entries in the bucket", "milliseconds for a look-up, median")


Picture = Callable[[Axes, Curves], None]
PICTURES: Mapping[str, tuple[tuple[str, ...], Picture]] = {
    "connections": (("hits_by_connections", "passes_by_connections"), _connections),
    "compression": (("compress_ms_by_sentences",), _compression),
    "semantic": (("semantic_ms_by_entries",), _semantic),
    "plans": (("hit_us_by_plans",), _plans),
}
