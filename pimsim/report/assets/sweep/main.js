"use strict";
// Puts the parts of the page together: what one of them chooses, or keeps, all of them show.
pimsim.ready = pimsim.ready.then(async () => {
  const { $, $$, say } = pimsim, data = pimsim.json("data");
  const sweep = new Sweep(data, new Uint8Array(await pimsim.unpacked("block")));
  const n = (value) => value.toLocaleString("en");

  // -- colours: by a column, or all the same ----------------------------------------------------------
  const select = $("#colour"), colours = {
    of: () => pimsim.style("--accent"),
    by(column) {
      const legend = $("#colours");
      legend.replaceChildren();
      if (!column) { const accent = pimsim.style("--accent"); this.of = () => accent; return; }
      legend.append(Object.assign(document.createElement("span"), { className: "on-paper", textContent: `colour: ${column.axis}` }));
      const values = column.distinct(), chip = (colour, text) => { const mark = document.createElement("i"); mark.style.background = colour; legend.append(mark, text); };
      if (!column.numeric || (column.isInput && values.length <= KINDS.length)) {
        const named = new Map(values.map((value, k) => [value, column.numeric ? mixed(values.length > 1 ? k / (values.length - 1) : 0.5) : KINDS[k % KINDS.length]]));
        for (const value of values.slice(0, 12)) chip(named.get(value), column.said(value));
        this.of = (i) => named.get(column.given(i)) ?? "#888888";
        return;
      }
      const [low, high] = column.extent(), log = low > 0 && high / low >= 50, f = log ? Math.log : (value) => value, span = f(high) - f(low) || 1;
      for (const share of [0, 0.25, 0.5, 0.75, 1]) chip(mixed(share), column.told(log ? low * (high / low) ** share : low + share * span));
      this.of = (i) => { const value = column.number(i); return Number.isNaN(value) ? "#888888" : mixed(Math.max(0, Math.min(1, (f(value) - f(low)) / span))); };
    },
  };
  select.append(new Option("one colour", ""), ...[...sweep.inputs, ...sweep.goals, ...sweep.figures.filter((column) => !column.goal)].filter((column) => column.varies()).map((column) => new Option(column.axis, column.name)));
  const texts = sweep.inputs.filter((column) => column.varies() && column.distinct().length <= KINDS.length);
  if (sweep.design !== "one_at_a_time") select.value = (texts.find((column) => !column.numeric) ?? texts[0])?.name ?? "";
  colours.by(sweep.named[select.value]);

  // -- the parts --------------------------------------------------------------------------------------
  const open = (i) => pimsim.chosen.set(i === null ? null : String(sweep.named.index.raw(i)));
  const parallel = $("#parallel") && new Parallel(sweep, $("#parallel"), colours);
  const scatter = new Scatter(sweep, pimsim.charts.scatter, colours, open);
  const rows = new Rows(sweep, $("#points"), open);
  const point = new Point(sweep, $("#point"), () => open(null));
  point.open = open;
  const look = (i) => parallel?.mark(i ?? sweep.chosen ?? null);
  Object.assign(scatter, { look }); Object.assign(rows, { look });

  const count = () => {
    $("#count").textContent = `${n(sweep.left)} of ${n(sweep.count)} point${sweep.count === 1 ? "" : "s"}`;
    $("#clear").disabled = !sweep.narrowed;
  };
  sweep.listeners.push(() => { count(); parallel?.draw(); scatter.draw(); rows.draw(); });
  const clear = () => { rows.field.value = ""; sweep.clear(); };
  $("#clear").addEventListener("click", () => { clear(); say("all points are shown"); });
  addEventListener("keydown", (event) => { if (event.key === "Escape" && sweep.chosen === undefined && sweep.narrowed) clear(); }, true);
  select.addEventListener("change", () => { colours.by(sweep.named[select.value]); parallel?.draw(); scatter.draw(); });

  // -- rails to choose from ---------------------------------------------------------------------------
  const list = $("#axes");
  for (const column of parallel ? [...sweep.inputs, ...sweep.goals, ...sweep.figures.filter((each) => !each.goal)].filter((each) => each.varies()) : []) {
    const label = document.createElement("label"), box = Object.assign(document.createElement("input"), { type: "checkbox", value: column.name, checked: parallel.axes.some((axis) => axis.column === column) });
    box.addEventListener("change", () => parallel.show($$("input:checked", list).map((each) => sweep.named[each.value])));
    label.append(box, ` ${column.axis}`);
    list.append(label);
  }
  $("#parallel-svg")?.addEventListener("click", () => pimsim.save("parallel.svg", "image/svg+xml", parallel.svg()));
  for (const button of $$("[data-status]")) button.addEventListener("click", () => {
    const { status, error } = button.dataset;
    rows.field.value = "";
    sweep.words = { keeps: (i) => sweep.named.status.raw(i) === status && (sweep.named.error.raw(i) ?? "") === error };
    sweep.apply();
    $("#points").scrollIntoView();
    rows.page = 0;
  });

  // -- the point that is chosen -------------------------------------------------------------------------
  let opened = null;
  pimsim.chosen.on((value) => {
    const i = value === null ? undefined : sweep.places.get(Number(value));
    if (i !== undefined && i !== sweep.chosen) opened = document.activeElement;
    sweep.chosen = i;
    point.draw(i ?? null); look(null); rows.draw(); scatter.draw();
    if (i === undefined) { if (opened?.isConnected) opened.focus(); return; }
    const title = $("#chosen");
    title.focus({ preventScroll: true });
    title.scrollIntoView({ block: "nearest" });
    say(`${sweep.name(i)}: ${sweep.brief(i)}`);
  });
  if (pimsim.chosen.value === null) point.draw(null);
  count();
  rows.draw();
  await scatter.draw();
  document.documentElement.dataset.page = "yes";
});
