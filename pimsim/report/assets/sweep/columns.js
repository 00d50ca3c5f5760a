"use strict";
// The columns of the page: typed arrays of what Python's `sweep_columns` packed, and their values as people read them.
const figure = (value) => value === 0 ? "0" : Math.abs(value) >= 100 ? value.toLocaleString("en", { maximumFractionDigits: 0 })
  : Math.abs(value) >= 1e-3 ? value.toPrecision(3) : value.toExponential(2);
const exact = (value) => Number.isInteger(value) && Math.abs(value) >= 1e4 ? value.toLocaleString("en") : String(value);

class Column {
  constructor(said, count, bytes) {
    Object.assign(this, { label: said.name, unit: "", factor: 1, better: "low", numeric: false }, said);
    const made = Column.typed(said.form, count, bytes.subarray(said.at));
    if (!said.values) this.numbers = made;
    else {
      this.codes = made;
      if (this.numeric) this.numbers = Float64Array.from(made, (code) => said.values[code] ?? NaN);
    }
    this.own = this.numbers;
    this.axis = this.unit ? `${this.label} (${this.unit})` : this.label;
    this.isInput = this.kind === "input";
  }

  // Numbers whose bytes lie in planes.
  static typed(form, count, planes) {
    const kind = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array }[form];
    const size = kind.BYTES_PER_ELEMENT, bytes = new Uint8Array(count * size);
    for (let plane = 0; plane < size; plane++) for (let i = 0, at = plane * count; i < count; i++, at++) bytes[i * size + plane] = planes[at];
    return new kind(bytes.buffer);
  }

  // What stands in the results file; null for nothing.
  raw(i) { const value = this.codes ? this.values[this.codes[i]] : this.own[i]; return value === null || Number.isNaN(value) ? null : value; }
  // A number in the unit of the page.
  number(i) { return this.numbers[i] / this.factor; }
  text(i) { return this.said(this.given(i)); }
  said(value) { return value === null ? "" : typeof value !== "number" ? String(value) : this.kind === "side" ? String(value) : this.isInput ? exact(value) : this.told(value / this.factor); }
  // As `figure`, with as many digits more as tell the column's figures apart.
  told(value) {
    const [low, high] = this.numeric && !this.rough ? this.extent() : [0, 0], digits = Math.min(4, 2 - Math.floor(Math.log10(high - low)));
    const plain = value === 0 || Math.abs(value) < 1e-3 ? Infinity : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
    return high > low && digits > plain ? value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }) : figure(value);
  }
  // The value that counts where none is written: of a tornado that of the base, whose text this is.
  counts(text) {
    if (this.numeric) {
      if (text === "null" || Number.isNaN(Number(text))) return;
      this.base = Number(text);
      this.numbers = Float64Array.from(this.own, (value) => Number.isNaN(value) ? this.base : value);
    } else if (text !== "null") this.base = { true: true, false: false }[text] ?? text;
  }
  given(i) { return this.raw(i) ?? this.base ?? null; }
  withUnit(i) { const text = this.text(i); return text && this.unit ? `${text} ${this.unit}` : text; }
  // The distinct values, in order: of numbers their own, of texts that of the rows.
  distinct() {
    const values = [...this.values ?? new Set(this.numbers), ...this.base === undefined ? [] : [this.base]], there = values.filter((value) => value !== null && !Number.isNaN(value));
    const once = [...new Set(there)];
    return this.numeric ? once.sort((a, b) => a - b) : once;
  }
  extent() { return this.ends ??= this.measured(); }
  measured() {
    let low = Infinity, high = -Infinity;
    for (const value of this.numbers) { if (value < low) low = value; if (value > high) high = value; }
    return [low / this.factor, high / this.factor];
  }
  varies() { return this.differs ??= this.numeric ? this.extent()[0] < this.extent()[1] : this.distinct().length > 1; }
}

// About `most` round numbers from low to high; of a logarithmic axis powers of ten, or 1, 2 and 5 of each.
const ticks = (low, high, log, most = 5) => {
  if (!(high > low)) return [low];
  if (log) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) for (const part of Math.log10(high / low) > 3 ? [1] : [1, 2, 5]) found.push(part * 10 ** power);
    const inside = found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
    return inside.length > 1 ? inside : [low, high];
  }
  const size = 10 ** Math.floor(Math.log10((high - low) / most)), step = [1, 2, 5, 10].map((part) => part * size).find((each) => (high - low) / each <= most + 1);
  return Array.from({ length: Math.floor(high / step) - Math.ceil(low / step) + 1 }, (_, k) => Number(((Math.ceil(low / step) + k) * step).toPrecision(12)));
};

const SCALE = [[0, "#3b4cc0"], [0.25, "#2a8fbd"], [0.5, "#2ca25f"], [0.75, "#e69f00"], [1, "#d55e00"]];
const KINDS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
const mixed = (share) => {
  const at = Math.max(1, SCALE.findIndex(([end]) => share <= end)), [[from, low], [to, high]] = [SCALE[at - 1], SCALE[at]], part = (share - from) / (to - from);
  const channel = (text, k) => parseInt(text.slice(1 + 2 * k, 3 + 2 * k), 16);
  return `rgb(${[0, 1, 2].map((k) => Math.round(channel(low, k) + part * (channel(high, k) - channel(low, k)))).join(",")})`;
};

// What is kept of the points: by ranges of columns, a region of the scatter, words of the table's field.
class Sweep {
  constructor(data, bytes) {
    Object.assign(this, data, { ranges: new Map(), region: null, words: null, listeners: [], kept: new Uint8Array(data.count).fill(1), left: data.count });
    this.columns = data.columns.map((said) => new Column(said, data.count, bytes));
    this.named = Object.fromEntries(this.columns.map((column) => [column.name, column]));
    this.inputs = this.columns.filter((column) => column.isInput);
    this.goals = this.columns.filter((column) => column.goal);
    this.figures = this.columns.filter((column) => column.kind === "figure");
    this.parts = (kind) => this.columns.filter((column) => column.kind === kind);
    this.inFront = new Uint8Array(data.count); for (const i of data.front) this.inFront[i] = 1;
    if (data.design === "one_at_a_time") for (const [key, text] of data.keys) if (this.named[key]?.isInput) this.named[key].counts(text);
    this.reported = new Set(data.reports);
    this.places = new Map(Array.from({ length: data.count }, (_, i) => [this.named.index.raw(i), i]));
    this.base = data.design === "one_at_a_time" ? this.places.get(0) : undefined; // the place of a tornado's base, where it is there
    this.waiting = 0;
  }
  get narrowed() { return this.ranges.size > 0 || this.region !== null || this.words !== null; }
  // What a point sets: of a tornado one input at most, else all, also to null.
  given(i) { return this.design === "one_at_a_time" ? this.inputs.filter((column) => column.raw(i) !== null) : this.inputs; }
  isOk(i) { return this.named.status.raw(i) === "ok"; }
  better(column) { return (column.goal ?? column.better) === "high" ? -1 : 1; }

  apply() {
    const { kept, count } = this;
    kept.fill(1);
    for (const { places, low, high } of this.ranges.values()) for (let i = 0; i < count; i++) if (!(places[i] >= low && places[i] <= high)) kept[i] = 0;
    for (const keeps of [this.region?.keeps, this.words?.keeps]) if (keeps) for (let i = 0; i < count; i++) if (kept[i] && !keeps(i)) kept[i] = 0;
    this.left = kept.reduce((sum, one) => sum + one, 0);
    if (!this.waiting) this.waiting = requestAnimationFrame(() => { this.waiting = 0; for (const fn of this.listeners) fn(); });
  }
  clear() { this.ranges.clear(); this.region = this.words = null; this.apply(); }
  // Those that are kept, at most so many.
  keptOnes(most = Infinity) { const found = []; for (let i = 0; i < this.count && found.length < most; i++) if (this.kept[i]) found.push(i); return found; }
  name(i) { return `point ${this.named.index.text(i)}`; }
  brief(i, columns = this.inputs.filter((column) => column.varies())) { return columns.map((column) => `${column.label} ${column.withUnit(i) || "-"}`).join(", "); }
}
