// Draws what stands in the block "series" with uPlot. The same numbers are in the tables below the charts.

const plots = new Map(); // place -> {plot, shape}
const HEIGHT = 190;
const AREAS = { money: ["would", "paid"], tiers: ["exact", "semantic", "miss", "bypass"], tokens: ["would", "paid"], paces: ["exact", "miss"] };
const NAMES = {
  money: ["would have cost", "paid"],
  tiers: ["exact hit", "semantic hit", "miss", "not looked up"],
  tokens: ["asked", "sent"],
  paces: ["with a hit", "without"],
};
const count = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const dollars = (value) => {
  const size = Math.abs(value);
  const places = size >= 0.1 || !size ? 2 : Math.min(8, 2 - Math.floor(Math.log10(size)));
  return `${value < 0 ? "−" : ""}$${size.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: places })}`;
};
const milliseconds = (value) => `${value >= 100 ? whole.format(value) : value.toFixed(1)} ms`;
const WORDS = { money: dollars, tiers: (value) => whole.format(value), tokens: (value) => whole.format(value), paces: milliseconds };
const TICKS = { money: dollars, tiers: (value) => count.format(value), tokens: (value) => count.format(value), paces: (value) => count.format(value) };

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const at = (seconds, granularity) => {
  const options = granularity === "day" ? { day: "numeric", month: "short" } : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false };
  return new Date(seconds * 1000).toLocaleString("en-GB", { ...options, timeZone: "UTC" });
};
const ticks = (granularity) => (_, splits) => splits.map((seconds) => (granularity === "day" || seconds % 86400 === 0 ? at(seconds, "day") : at(seconds, "").split(", ").pop()));

// Each list on top of those before it, for areas; the last is the sum.
const stacked = (lists) => lists.reduce((sums, list) => [...sums, list.map((value, n) => (value ?? 0) + (sums.at(-1)?.[n] ?? 0))], []);

function marks(series) {
  return (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour("mark");
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const [when] of series.marks) {
      const x = plot.valToPos(Math.max(when, plot.data[0][0]), "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  };
}

function options(kind, series, width, shown) {
  const granularity = kind === "paces" && series.granularity === "minute" ? "hour" : series.granularity;
  const gap = kind === "money" || kind === "tokens"; // two lines, and what lies between them: neither may hide the other
  const area = kind === "tiers";
  const few = (plot) => plot.data[0].length < 40;
  const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const order = kind === "tiers" ? [3, 2, 1, 0] : AREAS[kind].map((_, n) => n); // the highest area first, the others over it
  return {
    width,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    legend: { live: true, markers: { width: 0, fill: (_, n) => n ? colour(AREAS[kind][order[n - 1]]) : "transparent" } },
    scales: { y: kind === "paces" ? { distr: 3 } : { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] }, x: { range: (plot, low, high) => (low === high ? [low - 1800, high + 1800] : [low, high]) } },
    axes: [
      { ...axis, values: ticks(granularity), grid: { show: false }, space: 70 },
      { ...axis, values: (_, splits) => splits.map((value) => (value == null ? "" : TICKS[kind](value))), size: 64, space: 40 },
    ],
    // A band is drawn where its first line is the upper one: before above after is saved, after above before is lost.
    bands: gap ? [{ series: [1, 2], fill: colour("saved-area") }, { series: [2, 1], fill: colour("lost-area") }] : [],
    hooks: { draw: kind === "money" ? [marks(series)] : [] },
    series: [
      { label: "At", value: (_, seconds) => (seconds == null ? "–" : at(seconds, granularity)) },
      ...order.map((n) => ({
        label: NAMES[kind][n],
        stroke: colour(AREAS[kind][n]),
        fill: area ? colour(`${AREAS[kind][n]}-area`) : undefined,
        width: 2,
        dash: gap && n === 0 ? [6, 3] : undefined,
        spanGaps: kind === "paces",
        points: { show: few, size: 5, fill: colour(AREAS[kind][n]) },
        value: (plot, _, number, index) => (index == null ? "–" : shown()[n][index] == null ? "–" : WORDS[kind](shown()[n][index])),
      })),
    ],
  };
}

export function draw() {
  const block = document.getElementById("series");
  for (const place of [...plots.keys()]) if (!place.isConnected) forget(place);
  if (!block || typeof uPlot === "undefined") return;
  const series = JSON.parse(block.textContent);
  for (const place of document.querySelectorAll(".plot")) {
    const kind = place.dataset.plot;
    const lists = series[kind];
    const heights = kind === "tiers" ? stacked(lists).reverse() : lists;
    const data = [kind === "paces" ? series.paces_at : series.at, ...heights];
    const shape = `${series.granularity} ${series.marks.length}`;
    const known = plots.get(place);
    if (known?.shape === shape) {
      known.lists = lists;
      known.plot.setData(data);
      continue;
    }
    forget(place);
    const entry = { lists, shape };
    entry.plot = new uPlot(options(kind, series, place.clientWidth || 600, () => entry.lists), data, place);
    plots.set(place, entry);
  }
}

function forget(place) {
  plots.get(place)?.plot.destroy();
  plots.delete(place);
}

function again() {
  for (const place of [...plots.keys()]) forget(place);
  draw();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
let resized = null;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => {
    for (const [place, { plot }] of plots) plot.setSize({ width: place.clientWidth, height: HEIGHT });
  }, 100);
});
