"use strict";
// Two columns against each other: a mark for each point, or of many points how many lie where, and the front as steps.
class Scatter {
  static MARKS = 500; // points that have a mark each, which the tab key reaches
  static CELLS = 110; // across, at most; fewer of few points

  constructor(sweep, chart, colours, open) {
    Object.assign(this, { sweep, chart, colours, open, marks: [] });
    const numeric = sweep.columns.filter((column) => column.numeric && (column.isInput || column.kind === "figure"));
    for (const [id, at] of [["x", 0], ["y", 1]]) {
      const select = this[id] = pimsim.$(`#${id}`), order = this.preferred(numeric);
      select.append(...numeric.map((column) => new Option(column.axis, column.name)));
      select.value = (order[at] ?? order[0])?.name ?? "";
      select.addEventListener("change", () => this.anew());
      this[`${id}Log`] = pimsim.$(`#${id}log`); this[`${id}Log`].addEventListener("change", () => this.anew());
    }
    for (const button of pimsim.$$("[data-drag]")) button.addEventListener("click", () => this.tool(button.dataset.drag));
    pimsim.$("#whole").addEventListener("click", () => { this.view++; this.draw(); });
    chart.marks = (trace) => this.chart.node.data[trace].name === "points" ? this.marks.map((_, k) => k) : [];
    chart.onMark((mark) => { if (mark.source.name === "points") this.open(this.marks[mark.point]); });
    chart.node.on("plotly_click", (event) => { const point = event.points[0]; if (point.data.type === "heatmap") this.cell(point.pointIndex ?? point.pointNumber); });
    chart.node.on("plotly_selected", (event) => this.selected(event));
    chart.node.on("plotly_afterplot", () => this.reachable());
    this.drag = "select"; this.view = 0;
  }
  // Objectives, then inputs that vary, then other figures.
  preferred(numeric) { const rank = (column) => column.goal ? 0 : column.isInput && column.varies() ? 1 : column.kind === "figure" ? 2 : 3; const sorted = [...numeric].sort((a, b) => rank(a) - rank(b)); const goals = sorted.filter((column) => column.goal); return goals.length === 1 && sorted.length > 1 ? [sorted[1], sorted[0]] : sorted; }
  get columns() { return [this.sweep.named[this.x.value], this.sweep.named[this.y.value]]; }
  tool(name) { this.drag = name; for (const button of pimsim.$$("[data-drag]")) button.setAttribute("aria-pressed", String(button.dataset.drag === name)); this.draw(); }
  anew() { this.sweep.region = null; this.sweep.apply(); this.draw(); }

  // -- what is selected ---------------------------------------------------------------------------
  selected(event) {
    if (!event || !(event.range || event.lassoPoints)) return;
    const [x, y] = this.columns;
    if (event.range) {
      const [left, right] = [...event.range.x].sort((a, b) => a - b), [low, high] = [...event.range.y].sort((a, b) => a - b);
      this.within(left, right, low, high);
    } else {
      const xs = event.lassoPoints.x.map(this.scaled(this.xLog)), ys = event.lassoPoints.y.map(this.scaled(this.yLog)), fx = this.scaled(this.xLog), fy = this.scaled(this.yLog);
      this.sweep.region = { keeps: (i) => inside(fx(x.number(i)), fy(y.number(i)), xs, ys), drawn: { type: "path", path: `M${event.lassoPoints.x.map((px, k) => `${px},${event.lassoPoints.y[k]}`).join("L")}Z` } };
      this.sweep.apply();
    }
  }
  scaled(log) { return log.checked ? Math.log10 : (value) => value; }
  within(left, right, low, high) {
    const [x, y] = this.columns;
    this.sweep.region = { keeps: (i) => { const a = x.number(i), b = y.number(i); return a >= left && a <= right && b >= low && b <= high; }, drawn: { type: "rect", x0: left, x1: right, y0: low, y1: high } };
    this.sweep.apply();
  }
  // A click on a cell of the density keeps its points.
  cell(at) { const [row, column] = at; this.within(this.edges[0][column], this.edges[0][column + 1], this.edges[1][row], this.edges[1][row + 1]); }

  // -- what is drawn ------------------------------------------------------------------------------
  draw() {
    const [x, y] = this.columns;
    if (!x || !y) return;
    for (const [log, column] of [[this.xLog, x], [this.yLog, y]]) { log.disabled = !(column.extent()[0] > 0); if (log.disabled) log.checked = false; }
    const there = (i) => !Number.isNaN(x.numbers[i]) && !Number.isNaN(y.numbers[i]), { sweep } = this;
    let all = 0, kept = 0;
    for (let i = 0; i < sweep.count; i++) if (there(i)) { all++; kept += sweep.kept[i]; }
    const steps = this.steps(x, y, there), few = kept <= Scatter.MARKS;
    const marked = []; for (let i = 0; i < sweep.count; i++) if (there(i) && sweep.kept[i] && (few || sweep.inFront[i] || steps.on.has(i))) marked.push(i);
    this.marks = this.thinned(marked, few, steps).sort((a, b) => x.numbers[a] - x.numbers[b] || a - b);
    const ranges = [[x, this.xLog], [y, this.yLog]].map(([column, log]) => this.padded(column, log.checked));
    const traces = [];
    if (all > Scatter.MARKS) traces.push(this.density(x, y, few ? null : sweep.kept, ranges));
    else if (kept < all) traces.push(this.others(x, y, there));
    if (steps.line.length) traces.push(this.staircase(steps.line, ranges));
    traces.push(this.halo(x, y), this.points(x, y));
    this.note(x, y, all, kept, steps);
    return this.chart.update(traces, this.layout(x, y, ranges));
  }
  // Of a long front with a density behind it as many marks as the tab key can bear.
  thinned(marked, few, steps) {
    if (few || marked.length <= Scatter.MARKS) return marked;
    const step = Math.ceil(marked.length / (Scatter.MARKS - steps.on.size));
    return marked.filter((i, k) => steps.on.has(i) || k % step === 0).slice(0, 2 * Scatter.MARKS);
  }
  padded(column, log) {
    const f = log ? Math.log10 : (value) => value, [low, high] = column.extent().map(f), room = 0.06 * (high - low) || Math.abs(0.1 * low) || 1;
    return [low - room, high + room];
  }
  layout(x, y, ranges) {
    const digits = (column) => column.extent()[1] < 1e8 ? ",.6~r" : ",.6~g", axis = (column, log, range) => ({ title: { text: pimsim.plain(column.axis) }, type: log ? "log" : "linear", range, tickformat: digits(column), exponentformat: "power", gridcolor: "var(--line)" });
    const drawn = this.sweep.region?.drawn;
    return {
      dragmode: this.drag, xaxis: axis(x, this.xLog.checked, ranges[0]), yaxis: axis(y, this.yLog.checked, ranges[1]), showlegend: false, margin: { l: 70, r: 12, t: 12, b: 50 },
      selections: drawn ? [{ xref: "x", yref: "y", line: { color: "var(--ink)", width: 1, dash: "dot" }, ...drawn }] : [], newselection: { line: { color: "var(--ink)", width: 1 } }, uirevision: [x.name, y.name, this.xLog.checked, this.yLog.checked, this.view].join(" "), // what is zoomed stays until one of these changes
    };
  }
  others(x, y, there) {
    const left = []; for (let i = 0; i < this.sweep.count; i++) if (there(i) && !this.sweep.kept[i]) left.push(i);
    return { type: "scatter", mode: "markers", name: "others", x: left.map((i) => x.number(i)), y: left.map((i) => y.number(i)), hoverinfo: "skip", marker: { color: "var(--line)", size: 7 }, selected: { marker: { opacity: 1 } }, unselected: { marker: { opacity: 1 } } };
  }
  points(x, y) {
    const { marks, sweep } = this, front = (i) => sweep.inFront[i];
    return {
      type: "scatter", mode: "markers", name: "points", x: marks.map((i) => x.number(i)), y: marks.map((i) => y.number(i)), hoverinfo: "text", hovertext: marks.map((i) => this.says(i, x, y)),
      marker: { color: marks.map((i) => this.colours.of(i)), symbol: marks.map((i) => front(i) ? "diamond" : "circle"), size: marks.map((i) => front(i) ? 12 : 9), opacity: 1, line: { width: marks.map((i) => front(i) ? 1.5 : 0.5), color: marks.map((i) => front(i) ? "var(--ink)" : "var(--paper)") } },
      selected: { marker: { opacity: 1 } }, unselected: { marker: { opacity: 1 } }, cliponaxis: false,
    };
  }
  halo(x, y) {
    const i = this.sweep.chosen ?? null, is = i !== null && !Number.isNaN(x.numbers[i]) && !Number.isNaN(y.numbers[i]);
    return { type: "scatter", mode: "markers", name: "chosen", x: is ? [x.number(i)] : [], y: is ? [y.number(i)] : [], hoverinfo: "skip", marker: { color: "var(--ink)", opacity: 0.3, size: 26 } };
  }
  says(i, x, y) { const front = this.sweep.inFront[i] ? ", on the front of the sweep" : "", more = this.beneath(i).length - 1; return [`${this.sweep.name(i)}${front}${more ? `, with ${more} more here: click again` : ""}`, `${x.label}: ${x.withUnit(i)}`, `${y.label}: ${y.withUnit(i)}`, this.sweep.brief(i)].map(pimsim.plain).join("<br>"); }

  // The marks that lie on this one, itself included: a click on it opens one after the other.
  beneath(i) {
    const [x, y] = this.columns, near = [[x, this.xLog], [y, this.yLog]].map(([column, log]) => { const [low, high] = this.padded(column, log.checked), f = this.scaled(log); return (j) => Math.abs(f(column.number(i)) - f(column.number(j))) < 0.008 * (high - low); });
    return this.marks.filter((j) => near.every((test) => test(j)));
  }
  next(i) { const here = this.beneath(i), at = here.indexOf(this.sweep.chosen); return at < 0 ? i : here[(at + 1) % here.length]; }

  // A column along its axis; kept, since each brush asks.
  placed(column, log) {
    this.along ??= new Map();
    const key = `${log} ${column.name}`;
    if (!this.along.has(key)) this.along.set(key, Float64Array.from(column.numbers, (value) => log ? Math.log10(value / column.factor) : value / column.factor));
    return this.along.get(key);
  }

  // How many points lie in each cell; kept: which of them count, null for all, as a grey backdrop.
  density(x, y, kept, ranges) {
    const wide = Math.max(36, Math.min(Scatter.CELLS, Math.round(0.6 * Math.sqrt(this.sweep.count)))), high = Math.round(0.6 * wide), counts = new Uint32Array(wide * high), { count } = this.sweep;
    const [[x0, x1], [y0, y1]] = ranges, sx = wide / (x1 - x0), sy = high / (y1 - y0);
    const xs = this.placed(x, this.xLog.checked), ys = this.placed(y, this.yLog.checked);
    for (let i = 0; i < count; i++) {
      if (kept && !kept[i]) continue;
      const a = Math.floor((xs[i] - x0) * sx), b = Math.floor((ys[i] - y0) * sy);
      if (a >= 0 && a < wide && b >= 0 && b < high) counts[b * wide + a]++; // what is missing is in no cell
    }
    const edge = (from, to, n, log) => Array.from({ length: n + 1 }, (_, k) => { const at = from + k * (to - from) / n; return log.checked ? 10 ** at : at; });
    this.edges = [edge(x0, x1, wide, this.xLog), edge(y0, y1, high, this.yLog)];
    const rows = Array.from({ length: high }, (_, b) => Array.from({ length: wide }, (_, a) => counts[b * wide + a]));
    const shade = kept ? [[0, "rgba(86,180,233,0.35)"], [1, "#0072B2"]] : [[0, "var(--line)"], [1, "var(--line)"]];
    return {
      type: "heatmap", name: "density", x: this.edges[0], y: this.edges[1], z: rows.map((row) => row.map((n) => n ? Math.log10(n) : null)), zmin: 0, zmax: Math.max(1, Math.log10(counts.reduce((a, b) => Math.max(a, b), 1))),
      hoverinfo: kept ? undefined : "skip", customdata: rows, hovertemplate: "points here: %{customdata:,}<br>a click keeps them<extra></extra>", hoverongaps: false, colorscale: shade, showscale: false,
    };
  }

  // -- the front ----------------------------------------------------------------------------------
  // The kept points that no other kept one beats in both, from the best x on; none where an axis is an input.
  steps(x, y, there) {
    const none = { line: [], on: new Set() };
    if (x === y || [x, y].some((column) => column.isInput && !column.goal)) return none;
    const sx = this.sweep.better(x), sy = this.sweep.better(y), order = this.sorted(x, sx);
    let best = Infinity, last = null;
    const line = [];
    for (const i of order) {
      if (!this.sweep.kept[i] || !there(i)) continue;
      const cost = sy * y.numbers[i], at = sx * x.numbers[i];
      if (cost < best) { if (last !== null && at === sx * x.numbers[last]) line.pop(); line.push(i); best = cost; last = i; }
    }
    return { line, on: new Set(line) };
  }
  // The points that have a figure in a column, the best first; kept, since each brush asks.  What is no number has no
  // order, and would spoil that of the others.
  sorted(column, sign) {
    this.orders ??= new Map();
    const key = `${sign} ${column.name}`;
    if (!this.orders.has(key)) { const { numbers } = column, order = Uint32Array.from(numbers.keys()).filter((i) => !Number.isNaN(numbers[i])); order.sort((a, b) => sign * (numbers[a] - numbers[b]) || a - b); this.orders.set(key, order); }
    return this.orders.get(key);
  }
  staircase(line, ranges) {
    const [x, y] = this.columns, back = (value, log) => log.checked ? 10 ** value : value;
    const worst = [[x, this.xLog, ranges[0]], [y, this.yLog, ranges[1]]].map(([column, log, range]) => back(this.sweep.better(column) > 0 ? range[1] : range[0], log));
    const xs = line.map((i) => x.number(i)), ys = line.map((i) => y.number(i));
    return { type: "scatter", mode: "lines", name: "front", x: [xs[0], ...xs, worst[0]], y: [worst[1], ...ys, ys.at(-1)], line: { shape: "hv", color: "var(--ink)", width: 1.5 }, hoverinfo: "skip" };
  }

  note(x, y, all, kept, steps) {
    const way = (column) => `${this.sweep.better(column) > 0 ? "lower" : "higher"} ${column.label}`, n = (value) => value.toLocaleString("en"), missing = this.sweep.count - all, { goals } = this.sweep;
    const parts = [];
    if (steps.line.length) parts.push(`Steps: the ${n(steps.line.length)} of ${n(kept)} points shown that no other one shown beats in both (${way(x)}, ${way(y)}).`);
    if (this.sweep.front.length) parts.push(`Diamonds: on the front of the whole sweep in ${goals.length === 1 ? "its objective" : `all ${goals.length} objectives`} (${n(this.sweep.front.length)}).`);
    if (kept > Scatter.MARKS) parts.push(`Blue: how many points lie where; a click on it keeps those. Up to ${n(Scatter.MARKS)} points have a mark each.`);
    if (missing) parts.push(`${n(missing)} of ${n(this.sweep.count)} points have no such figures and are not drawn.`);
    pimsim.$("#front").textContent = parts.join(" ");
    this.chart.node.setAttribute("aria-label", `Scatter of ${y.axis} against ${x.axis}. ${parts.join(" ")} Arrow keys walk the ${n(this.marks.length)} marks, Enter opens one.`);
  }

  // -- marks by mouse and keyboard: each is filled, has a name, answers a click, and the tab key ----
  reachable() {
    const trace = pimsim.$$(".scatterlayer .trace", this.chart.node).find((node) => node.__data__?.[0]?.trace?.name === "points");
    this.paths = trace ? pimsim.$$("path.point", trace) : [];
    this.paths.forEach((path, k) => {
      const i = this.marks[k];
      for (const [key, value] of Object.entries({ tabindex: 0, role: "button", "data-point": this.sweep.named.index.raw(i), "aria-label": `${this.sweep.name(i)}${this.sweep.inFront[i] ? ", on the front" : ""}: ${this.columns.map((column) => `${column.label} ${column.withUnit(i)}`).join(", ")}, ${this.sweep.brief(i)}` })) path.setAttribute(key, value);
      path.style.pointerEvents = "all"; path.style.cursor = "pointer";
      if (path.dataset.heard) return;
      path.dataset.heard = "yes";
      const place = () => this.paths.indexOf(path);
      for (const event of ["mouseenter", "focus"]) path.addEventListener(event, () => this.hover(place()));
      for (const event of ["mouseleave", "blur"]) path.addEventListener(event, () => this.hover(-1));
      path.addEventListener("click", () => this.open(this.next(this.marks[place()])));
      path.addEventListener("keydown", (event) => this.walk(event, place()));
    });
  }
  hover(k) {
    if (k < 0) { Plotly.Fx.unhover(this.chart.node); this.look?.(null); return; }
    const curve = this.chart.node.data.findIndex((trace) => trace.name === "points");
    Plotly.Fx.hover(this.chart.node, [{ curveNumber: curve, pointNumber: k }], "xy");
    this.look?.(this.marks[k]);
  }
  walk(event, k) {
    const to = { ArrowRight: k + 1, ArrowDown: k + 1, ArrowLeft: k - 1, ArrowUp: k - 1, Home: 0, End: this.paths.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.open(this.marks[k]); }
    else if (to !== undefined) { event.preventDefault(); this.paths[Math.max(0, Math.min(this.paths.length - 1, to))].focus(); }
  }
}

// Whether a place lies in a polygon.
const inside = (x, y, xs, ys) => {
  let is = false;
  for (let i = 0, j = xs.length - 1; i < xs.length; j = i++) if (ys[i] > y !== ys[j] > y && x < (xs[j] - xs[i]) * (y - ys[i]) / (ys[j] - ys[i]) + xs[i]) is = !is;
  return is;
};
