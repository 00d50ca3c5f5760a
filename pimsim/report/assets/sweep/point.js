"use strict";
// One point: its figures beside the best, its configuration, its command, its own report.
class Point {
  constructor(sweep, node, close) {
    Object.assign(this, { sweep, node, close });
  }
  element(tag, text = "", more = {}) { const made = Object.assign(document.createElement(tag), { textContent: text }, more); return made; }
  row(cells, head = "td") { const row = document.createElement("tr"); cells.forEach((cell, k) => { const made = this.element(k ? "td" : "th", "", k ? {} : { scope: "row" }); made.append(cell); row.append(made); }); return row; }
  table(heads, rows) {
    const table = this.element("table"), head = table.createTHead().insertRow(), body = table.createTBody(), scroll = this.element("div", "", { className: "scroll" });
    heads.forEach((text) => head.append(this.element("th", text, { scope: "col" })));
    body.append(...rows);
    scroll.append(table);
    return scroll;
  }

  draw(i) {
    const { node, sweep } = this;
    node.replaceChildren();
    if (i === null) { node.append(this.element("p", "Choose a point: click on a mark or a row, or reach it with the tab key and press Enter. Its configuration, command and figures appear here.", { className: "soft" })); return; }
    const title = this.element("h2", sweep.name(i)[0].toUpperCase() + sweep.name(i).slice(1), { tabIndex: -1, id: "chosen" }), bar = this.element("div", "", { className: "tools" });
    const close = this.element("button", "Close", { type: "button" });
    close.addEventListener("click", this.close);
    bar.append(title, ...this.tags(i).map((text) => this.element("span", text, { className: "tag" })), close);
    node.append(bar, this.report(i));
    if (sweep.isOk(i)) node.append(this.figures(i), ...this.breakdown("Latency by cause", "time", i), ...this.breakdown("Energy by component", "energy", i));
    const warnings = sweep.named.warnings.raw(i);
    if (warnings) node.append(this.element("h3", "Before you quote a figure"), this.element("p", warnings));
    node.append(this.element("h3", "Command"), ...this.command(i), this.element("h3", "Configuration"), this.configuration(i));
    node.append(this.element("p", `point_id ${sweep.named.point_id.raw(i) ?? "-"}`, { className: "soft" }));
  }
  tags(i) { const status = this.sweep.named.status.raw(i); return [...(status === "ok" ? [] : [status]), ...(this.sweep.inFront[i] ? ["on the front"] : []), ...(this.isBase(i) ? ["the base"] : [])]; }
  isBase(i) { return this.sweep.base === i; }

  // The link to its own report, or how to have one; of a point without figures the reason.
  report(i) {
    const { sweep } = this, line = this.element("p"), number = sweep.named.index.raw(i);
    if (!sweep.isOk(i)) line.append(sweep.named.error.raw(i) ?? "no figures");
    else if (sweep.reported.has(i)) line.append(this.element("a", "Its own report", { href: `points/${number}/report.html`, className: "report" }));
    else {
      line.className = "soft";
      line.append("Its own report was not made.");
      if (sweep.command) line.append(" The command below writes it.");
      if (sweep.go_on) line.append(" So does ", this.element("code", `${sweep.go_on} --reports ${number}`), ", with the sweep's own --out, into its folder.");
    }
    return line;
  }

  // -- figures --------------------------------------------------------------------------------------
  figures(i) {
    const { sweep } = this, base = sweep.base ?? null;
    const shown = [...sweep.goals, ...sweep.figures.filter((column) => !column.goal)].filter((column) => column.raw(i) !== null);
    const row = (column) => this.row([this.element("span", column.axis, { title: column.name }), column.text(i), this.beside(column, i, base)]);
    const box = document.createDocumentFragment(), heads = ["figure", "here", base === null ? "beside the best" : "beside the base"];
    box.append(this.table(heads, shown.slice(0, Math.max(3, sweep.goals.length)).map(row)));
    if (shown.length > Math.max(3, sweep.goals.length)) {
      const more = this.element("details"), summary = this.element("summary", `${shown.length - Math.max(3, sweep.goals.length)} more figures`);
      more.append(summary, this.table(heads, shown.slice(Math.max(3, sweep.goals.length)).map(row)));
      box.append(more);
    }
    return box;
  }
  // This figure over that of the base, or of the point that is best in it.
  beside(column, i, base) {
    const other = base ?? this.best(column), here = column.numbers[i], there = column.numbers[other];
    if (other === i) return base === null ? "the best" : "the base";
    if (Number.isNaN(there)) return "-";
    const text = here === there ? "equal" : here > 0 && there > 0 ? `${figure(here / there)} x` : `${figure((here - there) / column.factor)} more`;
    if (base !== null) return text;
    const button = this.element("button", `point ${this.sweep.named.index.text(other)}`, { type: "button", className: "plain" });
    button.addEventListener("click", () => this.open(other));
    const both = document.createDocumentFragment(); both.append(`${text} `, button);
    return both;
  }
  best(column) {
    this.bests ??= new Map();
    if (!this.bests.has(column)) {
      const sign = this.sweep.better(column); let found = -1;
      for (let i = 0; i < this.sweep.count; i++) if (!Number.isNaN(column.numbers[i]) && (found < 0 || sign * column.numbers[i] < sign * column.numbers[found])) found = i;
      this.bests.set(column, found);
    }
    return this.bests.get(column);
  }
  breakdown(title, kind, i) {
    const parts = this.sweep.parts(kind).map((column) => [column.name.split(".").at(-1).replaceAll("_", " "), column.numbers[i] || 0]).filter(([, value]) => value > 0).sort((a, b) => b[1] - a[1]);
    if (!parts.length) return [];
    const total = parts.reduce((sum, [, value]) => sum + value, 0), most = parts[0][1], share = (value) => value / total < 0.0005 ? "< 0.1 %" : `${(100 * value / total).toFixed(1)} %`;
    const units = kind === "time" ? [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]] : [[1e12, "J"], [1e9, "mJ"], [1e6, "µJ"], [1e3, "nJ"], [1, "pJ"]], [factor, unit] = units.find(([size]) => most >= size * 0.1) ?? units.at(-1);
    const bars = this.element("div", "", { className: "bars" });
    bars.setAttribute("role", "img"); bars.setAttribute("aria-label", `${title}: ${parts.map(([name, value]) => `${name} ${share(value)}`).join(", ")}`);
    for (const [name, value] of parts) {
      const track = this.element("div", "", { className: "track" }), bar = this.element("div", "", { className: "bar" });
      bar.style.width = `${100 * value / most}%`; track.append(bar);
      bars.append(this.element("div", name), track, this.element("div", `${figure(value / factor)} ${unit} · ${share(value)}`, { className: "value" }));
    }
    return [this.element("h3", title), bars];
  }

  // -- configuration and command ----------------------------------------------------------------------
  configuration(i) {
    const { sweep } = this, given = new Map(sweep.given(i).map((column) => [column.name, column.raw(i) === null ? "null" : column.text(i)])), before = new Map(sweep.keys.map(([key, value]) => [key, value]));
    const code = (text) => this.element("code", text), entries = (who) => sweep.keys.filter(([key, , from]) => from === who && !given.has(key)), box = document.createDocumentFragment();
    box.append(this.table(["key", "here", "base"], [...given].map(([key, text]) => this.row([code(key), this.element("b", text), before.get(key) ?? ""]))));
    for (const [who, words] of [["set", "set by the sweep for every point"], ["base", "of the base"], ["default", "left to their defaults"]]) {
      const rows = entries(who);
      if (!rows.length) continue;
      const more = this.element("details");
      more.append(this.element("summary", `${rows.length} ${words}`), this.table(["key", "value"], rows.map(([key, value]) => this.row([code(key), value]))));
      box.append(more);
    }
    return box;
  }
  words(i) {
    const { words, fixed, texts, out } = this.sweep.command;
    const own = this.sweep.given(i).map((column) => { const value = column.raw(i); return [column.name, typeof value === "string" ? texts[column.name]?.[value] ?? value : String(value)]; });
    const sets = [...Object.entries(fixed), ...own].flatMap(([key, text]) => ["--set", `${key}=${text}`]);
    return [...words, ...sets, ...(out ? ["--out", `${out}${this.sweep.named.index.raw(i)}`] : [])];
  }
  quoted(word) { return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`; }
  command(i) {
    if (!this.sweep.command) return [this.element("p", "There is none: the base was made in Python, or weights are in the place of its model.", { className: "soft" })];
    const words = this.words(i).map(this.quoted), text = words.join(" ");
    const code = this.element("pre", "", { className: "command", id: "command", tabIndex: 0 }), button = this.element("button", "Copy", { type: "button", className: "plain", id: "copy" });
    code.setAttribute("aria-label", "command");
    code.append(...words.flatMap((word, k) => [k ? " " : "", this.element("span", word)])); // a line ends between words
    button.addEventListener("click", () => pimsim.copy(text));
    return [code, button];
  }
}
