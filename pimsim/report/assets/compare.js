"use strict";
// The page of a comparison: which inputs are listed, and which part of the difference the charts show.
(() => {
  const { $, $$, json, charts, tables, chosen, say } = pimsim, { views, keys, said } = json("data");

  // -- inputs by what a difference means ---------------------------------------------------
  const FIRST = 12; // rows that are shown until somebody asks for more
  const roles = $$("button[data-role]"), unfold = $("#unfold");
  const listed = () => {
    const shown = new Set(roles.filter((button) => button.getAttribute("aria-pressed") === "true").map((button) => button.dataset.role));
    tables.inputs.filter((row) => shown.has(row.dataset.role));
  };
  const opened = () => { unfold.hidden = true; for (const row of tables.inputs.body.rows) delete row.dataset.folded; listed(); };
  if (roles.length) {
    const rows = [...tables.inputs.body.rows], first = rows.filter((row) => row.dataset.role === roles[0].dataset.role);
    for (const row of first.slice(FIRST)) { row.dataset.folded = "yes"; row.hidden = true; }
    unfold.hidden = first.length <= FIRST; unfold.textContent = `Show all ${first.length}`;
    unfold.addEventListener("click", opened);
    tables.inputs.field.addEventListener("input", opened);
    for (const button of roles) button.addEventListener("click", () => { button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true")); opened(); });
    listed();
  }
  if (!views.causes) return;

  // -- one cause, component or operator: every part of the page follows it -------------------
  const kind = (key) => key.split(":")[0];
  const known = (key) => key in said;
  const show = (chart, choice, mark) => {
    const { title, rows, traces, layout } = views[chart.name][choice] ?? views[chart.name][""];
    return chart.look({ title, table: { ...chart.spec.table, rows }, traces: pimsim.faded(traces, mark ? (each) => each === mark : null, 0.35), layout: pimsim.merged(chart.spec.layout, layout) });
  };
  const follow = (value) => {
    const key = value !== null && known(value) ? value : "", operator = kind(key) === "operator";
    show(charts.causes, operator ? key : "", kind(key) === "cause" ? key : "");
    show(charts.components, operator ? key : "", kind(key) === "component" ? key : "");
    show(charts.operators, operator ? "" : key, operator ? key : "");
    $("#only").hidden = !key;
    if (key) $("#only b").textContent = said[key];
    const rows = key && !operator ? new Set(keys[key]) : null;
    tables.operators.filter((row) => !rows || rows.has(row.dataset.key));
    for (const row of tables.operators.body.rows) row.classList.toggle("chosen", row.dataset.key === key);
    const count = rows ? `${rows.size} of ${tables.operators.body.rows.length} operators` : "";
    $("#kept").textContent = count;
    say(key ? `${kind(key)} ${said[key]}${count ? `: ${count}` : ""}` : "all");
  };
  const choose = (key) => { if (key) chosen.set(chosen.value === key ? null : key); };

  pimsim.ready.then(() => {
    if (chosen.value === null) follow(null);
    chosen.on(follow);
    for (const chart of Object.values(charts)) chart.onMark((mark) => choose(mark.source.customdata?.[mark.point]));
    for (const button of $$("[data-choose]")) button.addEventListener("click", () => choose(button.dataset.choose));
    $("#only button").addEventListener("click", () => chosen.set(null));
    document.documentElement.dataset.filled = "yes";
  });
})();
