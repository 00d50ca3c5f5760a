"use strict";
// The table: pages of the rows that are kept, sorted by any column, filtered by words, saved as CSV.
class Rows {
  static PAGE = 25; static PAPER = 500;
  static COMPARE = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b, "=": (a, b) => a === b };

  // Numbers before texts, which no `<` puts in order.
  static order(a, b) { return typeof a !== typeof b ? (typeof a < typeof b ? -1 : 1) : a < b ? -1 : a > b ? 1 : 0; }

  constructor(sweep, node, open) {
    Object.assign(this, { sweep, node, open, page: 0, by: null, down: false, head: node.tHead.rows[0], body: node.tBodies[0] });
    const { named } = sweep, odd = named.status.distinct().some((status) => status !== "ok");
    this.columns = [named.index, ...sweep.inputs, ...sweep.goals, ...(odd ? [named.status, named.error] : [])];
    for (const column of this.columns) this.head.append(this.heading(column));
    this.field = pimsim.$("#words");
    this.field.addEventListener("input", () => this.filter());
    for (const [id, to] of [["first", () => 0], ["before", () => this.page - 1], ["after", () => this.page + 1], ["last", () => this.pages - 1]]) pimsim.$(`#${id}`).addEventListener("click", () => { this.page = to(); this.draw(); });
    pimsim.$("#csv").addEventListener("click", () => this.save());
    addEventListener("beforeprint", () => this.draw(true));
    addEventListener("afterprint", () => this.draw());
    matchMedia("print").addEventListener("change", (event) => this.draw(event.matches));
  }
  heading(column) {
    const head = document.createElement("th"), button = Object.assign(document.createElement("button"), { type: "button", textContent: column === this.sweep.named.index ? "point" : column.axis, title: column.name });
    head.scope = "col"; head.dataset.name = column.name;
    if (column.numeric || column.name === "index") head.className = "n";
    button.addEventListener("click", () => this.sort(column));
    head.append(button);
    return head;
  }

  // -- which rows, in which order -------------------------------------------------------------------
  sort(column) {
    const rising = column.isInput || column.kind === "side" || this.sweep.better(column) > 0; // the best first
    this.down = this.by === column ? !this.down : !rising;
    this.by = column;
    const sign = this.down ? -1 : 1, value = this.key(column);
    this.order = Uint32Array.from({ length: this.sweep.count }, (_, i) => i).sort((a, b) => {
      const p = value(a), q = value(b), none = (p === null) - (q === null);
      return none || (p === null ? 0 : sign * Rows.order(p, q)) || a - b;
    });
    for (const head of this.head.cells) head.dataset.name === column.name ? head.setAttribute("aria-sort", this.down ? "descending" : "ascending") : head.removeAttribute("aria-sort");
    this.page = 0;
    this.draw();
  }
  key(column) { return column.numbers ? (i) => Number.isNaN(column.numbers[i]) ? null : column.numbers[i] : (i) => column.raw(i); }
  *rows() { for (let k = 0; k < this.sweep.count; k++) { const i = this.order ? this.order[k] : k; if (this.sweep.kept[i]) yield i; } }

  // Words that are all in a row; "channels>=8" compares a column: by its name, in the unit of the name, or by its
  // label, in that of the page.
  filter() {
    const words = this.field.value.trim().toLowerCase().split(/\s+/).filter(Boolean), tests = words.map((word) => this.comparison(word) ?? this.text(word));
    this.sweep.words = tests.length ? { keeps: (i) => tests.every((test) => test(i)) } : null;
    this.page = 0;
    this.sweep.apply();
  }
  comparison(word) {
    const found = /^(.+?)(<=|>=|<|>|=)(.+)$/.exec(word);
    if (!found) return null;
    const [, name, sign, text] = found, squeezed = (each) => each.toLowerCase().replace(/[ _]/g, ""), is = (known) => squeezed(known) === squeezed(name);
    const byName = (each) => is(each.name) || is(each.name.split(".").at(-1)), column = this.sweep.columns.find((each) => byName(each) || is(each.label));
    if (!column) return null;
    if (column.numbers && !Number.isNaN(Number(text))) { const limit = Number(text), value = byName(column) ? (i) => column.numbers[i] : (i) => column.number(i); return (i) => Rows.COMPARE[sign](value(i), limit); }
    return sign === "=" ? (i) => String(column.raw(i) ?? "").toLowerCase() === text : null;
  }
  text(word) {
    const coded = this.columns.filter((column) => column.codes).map((column) => { const has = column.values.map((value) => column.said(value).toLowerCase().includes(word)); return (i) => has[column.codes[i]]; });
    const plain = this.sweep.count > 20000 ? [] : this.columns.filter((column) => !column.codes);
    return (i) => coded.some((test) => test(i)) || plain.some((column) => column.text(i).toLowerCase().includes(word));
  }

  // -- what is shown ----------------------------------------------------------------------------------
  get pages() { return Math.max(1, Math.ceil(this.sweep.left / Rows.PAGE)); }
  draw(paper = false) {
    this.page = Math.max(0, Math.min(this.pages - 1, this.page));
    const all = this.sweep.left <= Rows.PAPER, from = paper ? 0 : this.page * Rows.PAGE, most = paper ? Rows.PAPER : Rows.PAGE, shown = [];
    let at = 0;
    for (const i of this.rows()) { if (paper && !all && !this.sweep.inFront[i]) continue; if (at++ < from) continue; if (shown.push(i) === most) break; }
    this.body.replaceChildren(...shown.map((i) => this.row(i)));
    const n = (value) => value.toLocaleString("en");
    pimsim.$("#rows").textContent = !this.sweep.left ? "no rows" : paper ? (all ? `${n(shown.length)} rows` : `${n(shown.length)} rows, those of the front; all are in ${this.sweep.numbers}`) : `rows ${n(from + 1)} to ${n(from + shown.length)} of ${n(this.sweep.left)}`;
    for (const id of ["first", "before"]) pimsim.$(`#${id}`).disabled = this.page === 0;
    for (const id of ["after", "last"]) pimsim.$(`#${id}`).disabled = this.page === this.pages - 1;
  }
  row(i) {
    const row = document.createElement("tr");
    row.dataset.row = this.sweep.named.index.raw(i);
    if (this.sweep.chosen === i) row.setAttribute("aria-current", "true");
    this.columns.forEach((column, k) => {
      const cell = document.createElement(k ? "td" : "th");
      if (column.numeric || k === 0) cell.className = "n";
      if (k) {
        cell.textContent = column.said(column.given(i));
        cell.classList.toggle("soft", column.raw(i) === null); // of a tornado the base's
      } else { cell.scope = "row"; const button = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: column.text(i) }); button.setAttribute("aria-label", `open ${this.sweep.name(i)}`); cell.append(button, this.sweep.inFront[i] ? Object.assign(document.createElement("span"), { className: "diamond", textContent: " ◆", title: "on the front" }) : ""); }
      row.append(cell);
    });
    row.addEventListener("click", () => this.open(i));
    for (const event of ["mouseenter", "focusin"]) row.addEventListener(event, () => this.look?.(i));
    for (const event of ["mouseleave", "focusout"]) row.addEventListener(event, () => this.look?.(null));
    return row;
  }

  // The rows that are kept, every column that the page has in full, as in the results file.
  save() {
    const { named } = this.sweep, columns = [named.index, named.point_id, named.status, named.error, ...this.sweep.inputs, ...this.sweep.goals, ...this.sweep.figures.filter((column) => !column.goal && !column.rough)];
    const safe = (value) => typeof value === "string" && /^[=+\-@]/.test(value) ? `'${value}` : value; // no formula for a spreadsheet
    pimsim.save("points.csv", "text/csv", pimsim.csv(columns.map((column) => column.name), [...this.rows()].map((i) => columns.map((column) => safe(column.raw(i))))));
  }
}
