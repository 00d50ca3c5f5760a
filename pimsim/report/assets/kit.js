"use strict";
// What every page can do: charts that plotly draws, tables that sort, filter and are saved, texts that are copied.
// `pimsim.ready` is kept once all charts are drawn; scripts of a page wait for it.
const pimsim = (() => {
  const NARROW = 500, PAPER = 680; // px: a phone's window, a page of paper
  const FONT = { family: 'system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif', size: 13 };
  const $ = (selector, root = document) => root.querySelector(selector), $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const json = (id) => { const node = document.getElementById(id); return node ? JSON.parse(node.textContent) : null; };

  // Text or bytes that Python's `packed` made.
  const stream = (text) => new Response(new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]).stream().pipeThrough(new DecompressionStream("deflate")));
  const unpacked = (id) => stream(document.getElementById(id).textContent).arrayBuffer();
  // The part of the page's address behind "#NAME="; null where it has no such part, or one that nobody can read.
  const addressed = (name) => {
    try { return decodeURIComponent(location.hash.startsWith(`#${name}=`) ? location.hash.slice(name.length + 2) : "") || null; } catch { return null; }
  };
  const say = (text) => { $("#live").textContent = text; };

  // Text where plotly would read tags, and what is heard of such a text.
  const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const heard = (text) => text.replace(/<br>/g, ", ").replace(/<[^>]*>/g, "").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

  // -- files and the clipboard ----------------------------------------------------------------
  const save = (name, type, text) => {
    const link = document.createElement("a"), url = URL.createObjectURL(new Blob([text], { type }));
    link.href = url; link.download = name; link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  };
  const cell = (value) => { const text = value === null || value === undefined ? "" : String(value); return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text; };
  const csv = (columns, rows) => [columns, ...rows].map((row) => row.map(cell).join(",") + "\n").join("");
  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); } catch {
      const field = document.createElement("textarea");
      field.value = text; document.body.append(field); field.select(); document.execCommand("copy"); field.remove();
    }
    say("copied");
  };

  // -- charts ---------------------------------------------------------------------------------
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Colours that are variables of the page, as they are now.
  const coloured = (part) => typeof part === "string" ? part.replace(/^var\((--[a-z-]+)\)$/, (_, name) => style(name))
    : Array.isArray(part) ? part.map(coloured)
    : part && typeof part === "object" && !ArrayBuffer.isView(part) ? Object.fromEntries(Object.entries(part).map(([key, value]) => [key, coloured(value)])) : part;
  // What a function makes while the page has the colours of paper.
  const onPaper = (make) => { const { classList } = document.documentElement; classList.add("paper"); try { return make(); } finally { classList.remove("paper"); } };
  const merged = (base, more) => {
    const made = { ...base };
    for (const [key, value] of Object.entries(more)) made[key] = value && typeof value === "object" && !Array.isArray(value) && made[key] ? merged(made[key], value) : value;
    return made;
  };
  const AXIS = { automargin: true, tickfont: { size: 12 }, title: { font: { size: 13 }, standoff: 8 }, zeroline: false };
  const BASE = {
    font: FONT, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 56, r: 12, t: 12, b: 44 }, dragmode: false, hovermode: "closest",
    hoverlabel: { font: { ...FONT, size: 13 }, align: "left", namelength: -1 }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } },
    xaxis: AXIS, yaxis: AXIS, bargap: 0.25, colorway: ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"],
  };
  const CONFIG = { displayModeBar: false, responsive: true, doubleClick: "reset", showTips: false };

  class Chart {
    constructor(name, spec, node) { Object.assign(this, { name, spec, figure: node, node: $(".plot", node), listeners: [], at: null }); }

    layout() {
      const given = merged(BASE, this.spec.layout);
      return coloured({ ...(this.node.clientWidth < NARROW ? merged(given, this.spec.narrow) : given), height: this.spec.height });
    }

    async draw() {
      this.node.replaceChildren();
      await Plotly.newPlot(this.node, coloured(this.spec.traces), this.layout(), CONFIG);
      this.node.on("plotly_click", (event) => { const point = event.points[0]; this.tell({ trace: point.curveNumber, point: point.pointNumber ?? point.pointIndex, source: point.data }); });
      this.node.addEventListener("keydown", (event) => this.key(event));
      this.node.addEventListener("blur", () => { this.at = null; Plotly.Fx.unhover(this.node); });
      for (const button of $$("[data-save]", this.figure)) button.addEventListener("click", () => button.dataset.save === "svg" ? this.svg() : this.csv());
      return this;
    }

    // New traces, or a new layout, in place of what was drawn.
    update(traces, layout = this.spec.layout) {
      Object.assign(this.spec, { traces, layout });
      this.at = null;
      return Plotly.react(this.node, coloured(traces), this.layout(), CONFIG);
    }

    // Another view in place of what was drawn: its title, in the heading too, its table, its traces and layout.
    look({ title, table, traces, layout }) {
      Object.assign(this.spec, { title, table });
      $("h3", this.figure).textContent = title;
      return this.update(traces, layout);
    }

    // fn({trace, point, source}) for each mark that is clicked, or entered by the keyboard.
    onMark(fn) { this.listeners.push(fn); }
    tell(mark) { for (const fn of this.listeners) fn(mark); }

    // -- by keyboard: left and right along a trace, up and down from one to the next, Enter is a click
    marks(trace) {
      const source = this.node.data[trace], length = source.visible === false || source.hoverinfo === "skip" ? 0 : (source.hovertext ?? source.x ?? []).length;
      return [...Array(length).keys()].filter((i) => (source.x?.[i] ?? null) !== null && (source.y?.[i] ?? null) !== null && (source.hovertext?.[i] ?? "") !== "");
    }
    key(event) {
      const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], Home: [0, -Infinity], End: [0, Infinity] };
      if (event.target !== this.node) return;
      if (event.key in moves) { event.preventDefault(); this.move(...moves[event.key]); }
      else if ((event.key === "Enter" || event.key === " ") && this.at) { event.preventDefault(); this.tell({ trace: this.at[0], point: this.at[1], source: this.node.data[this.at[0]] }); }
    }
    move(down, right) {
      const traces = this.node.data.map((_, i) => i).filter((i) => this.marks(i).length);
      if (!traces.length) return;
      if (!this.at) this.at = [traces[0], this.marks(traces[0])[0]];
      else {
        const trace = traces[Math.max(0, Math.min(traces.length - 1, traces.indexOf(this.at[0]) + down))], marks = this.marks(trace);
        const nearest = marks.findIndex((i) => i >= this.at[1]), place = nearest < 0 ? marks.length - 1 : nearest;
        this.at = [trace, marks[Math.max(0, Math.min(marks.length - 1, place + right))]];
      }
      this.show(...this.at);
    }
    show(trace, point) {
      const source = this.node.data[trace];
      Plotly.Fx.hover(this.node, [{ curveNumber: trace, pointNumber: point }], source.subplot ?? (source.xaxis ?? "x") + (source.yaxis ?? "y"));
      say([source.name, source.hovertext?.[point] ?? `${source.x[point]}, ${source.y[point]}`].filter(Boolean).map((text) => heard(String(text))).join(": "));
    }

    // -- files: on white, as paper is
    async svg() {
      const { data, layout } = onPaper(() => ({ data: coloured(this.spec.traces), layout: this.layout() }));
      const url = await Plotly.toImage({ data, layout: { ...layout, paper_bgcolor: "#fff", plot_bgcolor: "#fff", font: { ...FONT, color: "#1c1e21" }, title: { text: plain(this.spec.title), x: 0.01, font: { size: 15 } }, margin: { ...layout.margin, t: 60 } } },
        { format: "svg", width: Math.round(this.node.clientWidth), height: this.spec.height + 40 });
      save(`${this.name}.svg`, "image/svg+xml", decodeURIComponent(url.slice(url.indexOf(",") + 1)));
    }
    csv() { save(`${this.name}.csv`, "text/csv", csv(this.spec.table.columns, this.spec.table.rows)); }
  }

  // Traces whose marks fade but for those that `kept` keeps, by their customdata; none fades without it.
  const faded = (traces, kept, opacity) => traces.map((trace) => trace.customdata ? { ...trace, marker: { ...trace.marker, opacity: kept === null ? 1 : trace.customdata.map((each) => kept(each, trace) ? 1 : opacity) } } : trace);

  const charts = {};
  const drawn = async () => {
    const specs = json("charts");
    if (!specs) return;
    document.documentElement.classList.add("drawing");
    const script = document.createElement("script");
    script.textContent = await stream($("#library").textContent).text();
    document.head.append(script);
    for (const figure of $$("[data-chart]")) {
      const name = figure.dataset.chart;
      charts[name] = await new Chart(name, specs[name], figure).draw();
    }
    const again = () => { for (const chart of Object.values(charts)) Plotly.react(chart.node, coloured(chart.spec.traces), chart.layout(), CONFIG); };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    const paper = (on) => { for (const chart of Object.values(charts)) Plotly.relayout(chart.node, on ? { width: PAPER } : { width: null, autosize: true }); };
    matchMedia("print").addEventListener("change", (event) => paper(event.matches));
    addEventListener("beforeprint", () => paper(true));
    addEventListener("afterprint", () => paper(false));
  };

  // -- tables: a click on a heading sorts by it, again the other way; the field above filters rows --------
  // A row with data-under="KEY" belongs to the row before it with data-key="KEY", and moves with it.
  const number = (text) => text.trim() === "" || isNaN(text) ? text : Number(text);
  const raw = (cell) => cell.dataset.v ?? cell.textContent.trim();
  class Table {
    constructor(node) {
      this.node = node; this.body = node.tBodies[0]; this.heads = [...node.tHead.rows[0].cells]; this.kept = () => true;
      this.heads.forEach((head, i) => $("button", head)?.addEventListener("click", () => this.sort(i)));
      this.field = $(`input[data-for="${node.id}"]`);
      this.field?.addEventListener("input", () => this.filter());
      for (const button of $$(`button[data-csv="${node.id}"]`)) button.addEventListener("click", () => this.csv());
      const wanted = addressed("sort"), at = this.heads.findIndex((head) => `${node.id}.${head.dataset.name}` === wanted);
      if (at >= 0) this.sort(at);
    }
    groups() {
      const groups = [];
      for (const row of this.body.rows) row.dataset.under && groups.length ? groups.at(-1).push(row) : groups.push([row]);
      return groups;
    }
    sort(i) {
      const head = this.heads[i], now = head.getAttribute("aria-sort"), down = now ? now === "ascending" : head.classList.contains("n"), key = (rows) => number(raw(rows[0].cells[i]));
      const order = (a, b) => typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
      const keyed = this.groups().map((rows, k) => [key(rows), k, rows]).sort((a, b) => (down ? -1 : 1) * order(a[0], b[0]) || a[1] - b[1]);
      for (const [, , rows] of keyed) this.body.append(...rows);
      this.heads.forEach((each) => each === head ? each.setAttribute("aria-sort", down ? "descending" : "ascending") : each.removeAttribute("aria-sort"));
    }
    // keep: rows that another part of the page asks for
    filter(keep = this.kept) {
      this.kept = keep;
      const text = (this.field?.value ?? "").toLowerCase();
      for (const row of this.body.rows) row.classList.toggle("out", !(row.textContent.toLowerCase().includes(text) && keep(row)));
      for (const row of this.body.rows) if (!row.dataset.folded) row.hidden = row.classList.contains("out");
    }
    csv() {
      const rows = [...this.body.rows].filter((row) => !row.classList.contains("out") && !("aside" in row.dataset));
      save(`${this.node.dataset.file ?? this.node.id}.csv`, "text/csv", csv(this.heads.map((head) => head.dataset.column ?? head.dataset.name), rows.map((row) => [...row.cells].map(raw))));
    }
  }
  const tables = Object.fromEntries($$("table[data-sortable]").map((node) => [node.id, new Table(node)]));

  for (const button of $$("[data-copy]")) button.addEventListener("click", () => copy($(button.dataset.copy).textContent.trim()));

  // -- what is looked at: one thing that several parts of a page follow, and its address keeps ----------
  const chosen = {
    value: null, listeners: [],
    on(fn) { this.listeners.push(fn); if (this.value !== null) fn(this.value); },
    set(value) {
      this.value = value;
      history.replaceState(null, "", value === null ? location.pathname + location.search : `#show=${encodeURIComponent(value)}`);
      for (const fn of this.listeners) fn(value);
    },
  };
  chosen.value = addressed("show");
  addEventListener("keydown", (event) => { if (event.key === "Escape" && chosen.value !== null) chosen.set(null); });

  const ready = drawn().then(() => { document.documentElement.classList.remove("drawing"); document.documentElement.dataset.ready = "yes"; });
  return { $, $$, json, unpacked, plain, say, save, csv, copy, style, merged, faded, charts, tables, chosen, ready };
})();
