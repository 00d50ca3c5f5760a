"use strict";
// One operator in every chart of a run: a click on it, in a chart or in the table, or its address, shows that one alone.
{
  const { $, $$, json, chosen, charts, say, tables, ready, merged, faded } = pimsim, linked = json("linked"), names = linked.operators;
  const table = $("#operators"), showing = $("#showing"), whole = {};
  const known = (key) => key !== null && Object.hasOwn(names, key);
  const toggle = (key) => { if (known(key)) chosen.set(chosen.value === key ? null : key); };

  // -- charts: the marks of other operators fade where all are drawn; elsewhere the operator's own marks take their place
  // (that of all others stands for one that has no bar of its own; a mark may be of several operators)
  const has = (each, key) => Array.isArray(each) ? each.includes(key) : each === key;
  const mine = (trace, key) => trace.customdata.some((each) => has(each, key)) ? key : "";
  const follow = (key) => {
    for (const [name, chart] of Object.entries(charts)) {
      const { traces, layout, table, title } = whole[name], all = linked.charts[name], own = key === null ? undefined : all[key];
      if (own) chart.look({ title: `${title}: ${names[key]}`, table: { columns: own.columns, rows: own.rows }, traces: own.traces, layout: merged(layout, own.layout) });
      else chart.look({ title, table, layout, traces: Object.keys(all).length ? traces : faded(traces, key === null ? null : (each, trace) => has(each, mine(trace, key)), 0.25) });
    }
  };
  const show = (key) => {
    const own = known(key);
    showing.hidden = !own;
    $("#hint").hidden = own;
    $("b", showing).textContent = own ? names[key] : "";
    for (const row of table.tBodies[0].rows) row.classList.toggle("chosen", own && row.dataset.operator === key);
    for (const button of $$("[data-choose]", table)) button.setAttribute("aria-pressed", String(own && button.dataset.choose === key));
    follow(own ? key : null);
    say(own ? `showing ${names[key]} alone` : "showing all operators");
  };

  // -- the table: a row shows its operator; layers of one kind open and close, and open where a search finds them
  const rowsUnder = (key) => [...table.tBodies[0].rows].filter((row) => row.dataset.under === key);
  const open = (button, on) => {
    button.setAttribute("aria-expanded", String(on));
    for (const row of rowsUnder(button.closest("tr").dataset.key)) {
      if (on) delete row.dataset.folded; else row.dataset.folded = "yes";
      row.hidden = !on || row.classList.contains("out");
    }
  };
  for (const button of $$("button.fold", table)) button.addEventListener("click", () => open(button, button.getAttribute("aria-expanded") === "false"));
  for (const row of table.tBodies[0].rows) row.addEventListener("click", (event) => { if (!event.target.closest("button.fold")) toggle(row.dataset.operator); });
  tables.operators.field.addEventListener("input", (event) => {
    const searching = event.target.value !== "";
    for (const button of $$("button.fold", table)) open(button, searching && rowsUnder(button.closest("tr").dataset.key).some((row) => !row.classList.contains("out")) && button.closest("tr").classList.contains("out"));
  });

  // -- inputs: a search opens them
  tables.inputs?.field.addEventListener("input", (event) => { if (event.target.value) $("#all-inputs").open = true; });

  $("button", showing).addEventListener("click", () => chosen.set(null));
  ready.then(() => {
    for (const [name, chart] of Object.entries(charts)) {
      whole[name] = { traces: chart.spec.traces, layout: chart.spec.layout, table: chart.spec.table, title: chart.spec.title };
      chart.onMark((mark) => {
        const keys = [mark.source.customdata?.[mark.point] ?? null].flat();
        toggle(keys.includes(chosen.value) ? chosen.value : keys[0]);
      });
    }
    chosen.on(show);
  });
}
