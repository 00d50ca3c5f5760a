"use strict";
// Parallel coordinates on a canvas: a rail for each column, a line for each point.  Of many points lines are counted
// between bins of neighbouring rails, so that a brush is as quick for 100,000 of them.
class Axis {
  static MISSING = -0.09; // below the rail
  static FEW = 12; // values that stand apart from each other, whatever they are

  constructor(column, count) {
    this.column = column;
    const values = column.isInput || !column.numeric ? column.distinct() : [];
    this.listed = !column.numeric || (column.isInput && values.length <= Axis.FEW) ? values : null;
    this.places = new Float32Array(count);
    if (this.listed) this.inOrder(count); else this.toScale(count);
    this.missing = this.places.includes(Math.fround(Axis.MISSING));
    this.bottom = this.missing ? Axis.MISSING : 0;
    if (this.missing) this.stops.unshift(this.bottom);
    this.ticks = this.listed ? this.few() : ticks(this.low, this.high, this.log).map((value) => [this.at(value), exact(Number(value.toPrecision(6)))]);
  }
  inOrder(count) {
    const rank = new Map(this.listed.map((value, k) => [value, this.listed.length > 1 ? k / (this.listed.length - 1) : 0.5]));
    for (let i = 0; i < count; i++) this.places[i] = rank.get(this.column.given(i)) ?? Axis.MISSING;
    this.stops = [...rank.values()];
  }
  toScale(count) {
    [this.low, this.high] = this.column.extent();
    this.log = this.low > 0 && this.high / this.low >= 50;
    for (let i = 0; i < count; i++) { const value = this.column.number(i); this.places[i] = Number.isNaN(value) ? Axis.MISSING : this.at(value); }
    this.stops = Array.from({ length: 51 }, (_, k) => k / 50);
  }
  at(value) {
    const f = this.log ? Math.log10 : (each) => each, span = f(this.high) - f(this.low);
    return span > 0 ? (f(value) - f(this.low)) / span : 0.5;
  }
  // What stands at a place of the rail, as text.
  said(place) {
    if (place < 0) return "none";
    if (this.listed) return this.column.said(this.listed[Math.max(0, Math.min(this.listed.length - 1, Math.round(place * (this.listed.length - 1))))] ?? null);
    const share = Math.max(0, Math.min(1, place));
    return `${this.column.told(this.log ? this.low * (this.high / this.low) ** share : this.low + share * (this.high - this.low))} ${this.column.unit}`.trim();
  }
  // Of many texts every n-th has its name.
  few() { const step = Math.ceil(this.listed.length / 14); const stops = this.stops.slice(-this.listed.length); return this.listed.map((value, k) => [stops[k], this.column.said(value)]).filter((_, k) => k % step === 0); }
}

class Parallel {
  static TOP = 46; static BOTTOM = 40; static LEFT = 70; static RIGHT = 62; static HEIGHT = 380; static APART = 112;
  static SINGLE = 1500; // lines that are drawn one by one
  static BINS = 72;

  constructor(sweep, node, colours) {
    Object.assign(this, { sweep, node, colours, box: pimsim.$(".rails", node), canvas: pimsim.$("canvas", node), over: pimsim.$("canvas + canvas", node), marked: null });
    this.made = new Map();
    const goals = sweep.goals.filter((column) => column.numeric && !column.isInput);
    this.show(sweep.inputs.filter((column) => column.varies()).slice(0, Math.max(2, 12 - goals.length)).concat(goals));
    new ResizeObserver(() => this.place()).observe(node);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.place());
    addEventListener("beforeprint", () => this.paper(true));
    addEventListener("afterprint", () => this.paper(false));
    matchMedia("print").addEventListener("change", (event) => this.paper(event.matches));
  }
  get rail() { return Parallel.HEIGHT - Parallel.TOP - Parallel.BOTTOM; }

  // The rails of these columns, from left to right.
  show(columns) {
    this.axes = columns.map((column) => { if (!this.made.has(column)) this.made.set(column, new Axis(column, this.sweep.count)); return this.made.get(column); });
    for (const node of pimsim.$$(".axis", this.box)) node.remove();
    this.nodes = this.axes.map((axis) => this.element(axis));
    this.box.append(...this.nodes);
    this.place();
  }

  element(axis) {
    const node = document.createElement("div"), unit = axis.column.unit ? ` (${axis.column.unit})` : "";
    node.className = "axis"; node.dataset.name = axis.column.name;
    const name = Object.assign(document.createElement("button"), { type: "button", className: "name", textContent: axis.column.label + unit, title: `${axis.column.name}: take the range away` });
    name.addEventListener("click", () => this.range(axis, null));
    const rail = Object.assign(document.createElement("div"), { className: "rail" });
    rail.append(Object.assign(document.createElement("div"), { className: "range", hidden: true }), ...["from", "to"].map((end) => this.handle(axis, end)));
    for (const [at, text] of axis.ticks.concat(axis.missing ? [[Axis.MISSING, "none"]] : [])) {
      const tick = Object.assign(document.createElement("span"), { className: "tick", textContent: text });
      tick.style.top = `${(1 - at) * 100}%`;
      rail.append(tick);
    }
    if (axis.missing) rail.append(Object.assign(document.createElement("div"), { className: "below" }));
    this.drag(axis, rail);
    node.append(name, rail);
    return node;
  }
  handle(axis, end) {
    const handle = Object.assign(document.createElement("span"), { className: `end ${end}`, tabIndex: 0 });
    for (const [key, value] of Object.entries({ role: "slider", "aria-orientation": "vertical", "aria-label": `${axis.column.label} ${end}`, "aria-valuemin": Math.round(100 * axis.bottom), "aria-valuemax": 100 })) handle.setAttribute(key, value);
    handle.addEventListener("keydown", (event) => this.step(axis, end, event));
    return handle;
  }
  step(axis, end, event) {
    const to = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const [low, high] = this.ends(axis), { stops } = axis, now = end === "from" ? low : high;
    const near = stops.reduce((best, stop, k) => Math.abs(stop - now) < Math.abs(stops[best] - now) ? k : best, 0);
    const next = stops[Math.max(0, Math.min(stops.length - 1, near + to))];
    this.range(axis, end === "from" ? [Math.min(next, high), high] : [low, Math.max(next, low)]);
  }
  ends(axis) { const found = this.sweep.ranges.get(axis.column.name); return found ? [found.low, found.high] : [axis.bottom, 1]; }

  // Keep the points of a part of a rail; all of it is no range.
  range(axis, ends) {
    const whole = !ends || (ends[0] <= axis.bottom && ends[1] >= 1);
    const slack = axis.listed ? 0.5 / Math.max(1, axis.listed.length - 1) * 0.2 : 1e-6;
    if (whole) this.sweep.ranges.delete(axis.column.name);
    else this.sweep.ranges.set(axis.column.name, { places: axis.places, low: ends[0] - slack, high: ends[1] + slack });
    this.sweep.apply();
  }
  drag(axis, rail) {
    const at = (event) => { const box = rail.getBoundingClientRect(); return Math.max(axis.missing ? -0.12 : 0, Math.min(1, 1 - (event.clientY - box.top) / box.height)); };
    rail.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      const grabbed = event.target.classList.contains("end") ? event.target : null, [low, high] = this.ends(axis);
      const fixed = grabbed ? (grabbed.classList.contains("from") ? high : low) : at(event), from = event.clientY;
      const move = (moved) => { if (grabbed || Math.abs(moved.clientY - from) > 3) this.range(axis, [Math.min(fixed, at(moved)), Math.max(fixed, at(moved))]); };
      const up = (last) => { if (!grabbed && Math.abs(last.clientY - from) <= 3) this.range(axis, null); rail.removeEventListener("pointermove", move); };
      event.preventDefault();
      (grabbed ?? pimsim.$(".end", rail)).focus({ preventScroll: true });
      rail.setPointerCapture(event.pointerId);
      rail.addEventListener("pointermove", move);
      rail.addEventListener("pointerup", up, { once: true });
    });
  }

  // -- where everything is ----------------------------------------------------------------------
  place(width = this.node.clientWidth) {
    if (!width) return;
    const { LEFT, RIGHT, APART, HEIGHT } = Parallel, gaps = Math.max(1, this.axes.length - 1);
    this.width = Math.max(width - 2, LEFT + RIGHT + (width < 500 ? APART : 70) * gaps);
    if (width === 680) this.width = width;
    this.box.style.width = `${this.width}px`;
    this.x = this.axes.map((_, k) => this.axes.length > 1 ? LEFT + k * (this.width - LEFT - RIGHT) / gaps : this.width / 2);
    this.nodes.forEach((node, k) => { node.style.left = `${this.x[k]}px`; node.style.setProperty("--room", `${Math.floor(Math.min((this.width - LEFT - RIGHT) / gaps - 8, k === gaps ? 2 * RIGHT : k ? Infinity : 2 * LEFT))}px`); });
    for (const canvas of [this.canvas, this.over]) { canvas.width = this.width * devicePixelRatio; canvas.height = HEIGHT * devicePixelRatio; canvas.style.width = `${this.width}px`; canvas.style.height = `${HEIGHT}px`; }
    this.behind = null;
    this.draw();
  }
  y(place) { return Parallel.TOP + (1 - place) * this.rail; }

  draw() {
    this.nodes.forEach((node, k) => this.drawRange(node, this.axes[k]));
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.sweep.narrowed) context.drawImage(this.behind ??= this.backdrop(), 0, 0);
    context.scale(devicePixelRatio, devicePixelRatio);
    this.stroke(context, this.front());
    this.mark(this.marked);
  }
  drawRange(node, axis) {
    const found = this.sweep.ranges.get(axis.column.name), [low, high] = this.ends(axis).map((end) => Math.max(axis.missing ? -0.12 : 0, Math.min(1, end)));
    const range = pimsim.$(".range", node);
    range.hidden = !found;
    Object.assign(range.style, { top: `${(1 - high) * 100}%`, height: `${(high - low) * 100}%` });
    for (const [end, at] of [["from", low], ["to", high]]) {
      const handle = pimsim.$(`.end.${end}`, node);
      handle.style.top = `${(1 - at) * 100}%`;
      handle.setAttribute("aria-valuenow", Math.round(100 * at)); handle.setAttribute("aria-valuetext", axis.said(at));
    }
    node.classList.toggle("ranged", Boolean(found));
  }
  // All points, grey, behind those that are kept.
  backdrop() {
    const canvas = Object.assign(document.createElement("canvas"), { width: this.canvas.width, height: this.canvas.height }), context = canvas.getContext("2d");
    context.scale(devicePixelRatio, devicePixelRatio);
    this.stroke(context, this.back());
    return canvas;
  }
  back() {
    const { count } = this.sweep, grey = pimsim.style("--line");
    return count <= Parallel.SINGLE ? this.lines(Array.from({ length: count }, (_, i) => i), () => grey, 0.8) : this.bundles(new Uint8Array(count).fill(1), grey, 1);
  }
  front() {
    const { kept, left } = this.sweep;
    return left <= Parallel.SINGLE ? this.lines(this.sweep.keptOnes(), (i) => this.colours.of(i), left < 60 ? 0.85 : 0.45) : this.bundles(kept, pimsim.style("--accent"), 0.9);
  }
  stroke(context, strokes) {
    for (const { colour, alpha, width, paths } of strokes) {
      Object.assign(context, { strokeStyle: colour, globalAlpha: alpha, lineWidth: width });
      context.beginPath();
      for (const path of paths) path.forEach(([x, y], k) => context[k ? "lineTo" : "moveTo"](x, y));
      context.stroke();
    }
    context.globalAlpha = 1;
  }
  path(i) { return this.axes.map((axis, k) => [this.x[k], this.y(axis.places[i])]); }
  *lines(points, colour, alpha) { for (const i of points) yield { colour: colour(i), alpha, width: 1.4, paths: [this.path(i)] }; }
  *bundles(kept, colour, alpha) {
    const { BINS } = Parallel, bin = (place) => place < 0 ? 0 : 1 + Math.min(BINS - 1, Math.floor(place * BINS)), middle = (b) => b === 0 ? Axis.MISSING : (b - 0.5) / BINS, wide = BINS + 1;
    for (let k = 0; k + 1 < this.axes.length; k++) {
      const counts = new Uint32Array(wide * wide), left = this.axes[k].places, right = this.axes[k + 1].places;
      for (let i = 0; i < kept.length; i++) if (kept[i]) counts[bin(left[i]) * wide + bin(right[i])]++;
      const most = counts.reduce((a, b) => Math.max(a, b), 1), levels = Array.from({ length: 8 }, () => []);
      counts.forEach((n, cell) => { if (n) levels[Math.floor(7.99 * Math.sqrt(n / most))].push([[this.x[k], this.y(middle(Math.floor(cell / wide)))], [this.x[k + 1], this.y(middle(cell % wide))]]); });
      for (const [level, paths] of levels.entries()) if (paths.length) yield { colour, alpha: alpha * (0.04 + 0.6 * ((level + 1) / 8) ** 2), width: 1.2, paths };
    }
  }
  // The line of the point that is looked at, above all others.
  mark(i) {
    this.marked = i;
    const context = this.over.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.over.width, this.over.height);
    if (i === null) return;
    context.scale(devicePixelRatio, devicePixelRatio);
    const paths = [this.path(i)];
    this.stroke(context, [{ colour: pimsim.style("--paper"), alpha: 1, width: 6, paths }, { colour: pimsim.style("--ink"), alpha: 1, width: 3, paths }]);
  }

  // -- as a picture, for a file and for paper -----------------------------------------------------
  svg() {
    const { HEIGHT, TOP } = Parallel, safe = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;"), short = (value) => Number(value.toFixed(1));
    const drawn = (strokes) => [...strokes].map(({ colour, alpha, width, paths }) => `<path d="${paths.map((path) => "M" + path.map(([x, y]) => `${short(x)} ${short(y)}`).join("L")).join("")}" fill="none" stroke="${colour}" stroke-opacity="${alpha.toFixed(2)}" stroke-width="${width}"/>`).join("");
    const text = (x, y, words, anchor, halo) => `<text x="${short(x)}" y="${short(y)}" text-anchor="${anchor}"${halo ? ` paint-order="stroke" stroke="#fff" stroke-width="3"` : ""}>${safe(words)}</text>`;
    const rails = this.axes.map((axis, k) => `<path d="M${short(this.x[k])} ${TOP}V${TOP + this.rail}" stroke="#555"/>` + wrapped(axis.column.axis).map((line, n, all) => text(this.x[k], TOP - 10 - 14 * (all.length - 1 - n), line, "middle")).join("")
      + axis.ticks.concat(axis.missing ? [[Axis.MISSING, "none"]] : []).map(([at, words]) => text(this.x[k] - 6, this.y(at) + 4, words, "end", "halo")).join(""));
    const ranges = this.axes.map((axis, k) => { const [low, high] = this.ends(axis); return this.sweep.ranges.has(axis.column.name) ? `<rect x="${short(this.x[k] - 6)}" y="${short(this.y(high))}" width="12" height="${short((high - low) * this.rail)}" fill="#0072B2" fill-opacity=".35"/>` : ""; });
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${this.width}" height="${HEIGHT}" viewBox="0 0 ${this.width} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="#1c1e21"><title>Parallel coordinates</title><rect width="100%" height="100%" fill="#fff"/>`
      + `${this.sweep.narrowed ? drawn(this.back()) : ""}${drawn(this.front())}${ranges.join("")}${rails.join("")}</svg>\n`;
  }
  paper(on) {
    if (on) { this.place(680); pimsim.$(".on-paper", this.node).innerHTML = this.svg(); } else this.place();
  }
}

// A name on two lines where it is long.
const wrapped = (name) => {
  const words = name.split(" "), half = Math.ceil(words.length / 2);
  return name.length > 14 && words.length > 1 ? [words.slice(0, half).join(" "), words.slice(half).join(" ")] : [name];
};
