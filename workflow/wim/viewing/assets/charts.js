// Distributions beside the rows: bars that filter, with a pointer or the keyboard.

const BINS = 20;

/** Draw every facet of the view that tells rows apart. */
function drawFacets() {
  const view = views[current];
  const place = document.getElementById("facets");
  const focused = document.activeElement?.dataset?.focus;
  const drawn = [];
  for (const facet of view.facets) {
    const figure = facet.kind === "choice" ? choiceChart(view, facet) : rangeChart(view, facet);
    if (figure) drawn.push(figure);
  }
  place.replaceChildren(...drawn);
  if (focused) {
    for (const each of place.querySelectorAll("[data-focus]")) {
      if (each.dataset.focus === focused) each.focus();
    }
  }
}

function fieldset(facet, ...children) {
  return make("fieldset", { "data-facet": facet.key }, make("legend", { text: facet.name }), ...children);
}

function choiceChart(view, facet) {
  const all = (view.choices ??= new Map());
  if (!all.has(facet.key)) {
    const values = new Set(view.rows.flatMap((row) => valuesOf(row, facet)));
    all.set(facet.key, [...values].sort());
  }
  const values = all.get(facet.key);
  const tells = values.length > 1 || view.rows.some((row) => !valuesOf(row, facet).length);
  if (!values.length || !tells) return null;
  const counts = new Map(values.map((value) => [value, 0]));
  for (const row of view.faceted.get(facet.key)) {
    for (const value of valuesOf(row, facet)) counts.set(value, counts.get(value) + 1);
  }
  const most = Math.max(1, ...counts.values());
  const chosen = view.filters.get(facet.key);
  return fieldset(facet, ...values.map((value) => {
    const bar = make("span", { class: "amount" });
    bar.style.inlineSize = `${(100 * counts.get(value)) / most}%`;
    return make(
      "button",
      {
        type: "button", class: "choice", "aria-pressed": String(Boolean(chosen?.has(value))),
        "data-focus": `${facet.key}=${value}`, "data-value": value,
        onclick: () => { toggleChoice(view, facet, value); refresh(); },
      },
      bar,
      make("span", { class: "value" }, ...visible(value)),
      make("span", { class: "number", text: counts.get(value).toLocaleString("en") }),
    );
  }));
}

function rangeChart(view, facet) {
  const extents = (view.extents ??= new Map());
  if (!extents.has(facet.key)) {
    let low = Infinity;
    let high = -Infinity;
    for (const row of view.rows) {
      const value = row[facet.key];
      if (value !== null && value !== undefined) {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
    extents.set(facet.key, { low, high });
  }
  const { low, high } = extents.get(facet.key);
  if (!(high > low)) return null;
  const width = (high - low) / BINS;
  const counts = new Array(BINS).fill(0);
  for (const row of view.faceted.get(facet.key)) {
    const value = row[facet.key];
    if (value !== null && value !== undefined) {
      counts[Math.min(BINS - 1, Math.floor((value - low) / width))] += 1;
    }
  }
  const most = Math.max(1, ...counts);
  const filter = view.filters.get(facet.key);
  const bars = counts.map((count, bin) => {
    const from = low + bin * width;
    const to = bin === BINS - 1 ? high : from + width;
    const inside = filter && from < filter.high && to > filter.low;
    const label = `${shown(from, facet.digits)} to ${shown(to, facet.digits)}: ${count}`;
    const bar = make("button", {
      type: "button", class: "bin", "aria-pressed": String(Boolean(inside)), title: label,
      "aria-label": label, tabindex: bin ? "-1" : "0", "data-focus": `${facet.key}#${bin}`,
      onclick: (event) => { pickBin(view, facet, from, to, event.shiftKey); },
    });
    bar.style.setProperty("--height", `${(100 * count) / most}%`);
    return bar;
  });
  const group = make("div", { class: "bins", role: "group", "aria-label": facet.name }, ...bars);
  group.addEventListener("keydown", (event) => moveAmong(event, bars));
  const input = (side, value) => make("input", {
    type: "number", step: "any", placeholder: shown(side === "low" ? low : high, facet.digits),
    "aria-label": `${facet.name}, ${side === "low" ? "at least" : "at most"}`,
    value: Number.isFinite(value) ? String(value) : null, "data-focus": `${facet.key}:${side}`,
    "data-side": side,
    onchange: (event) => {
      const given = event.target.value === "" ? null : Number(event.target.value);
      const was = view.filters.get(facet.key) ?? { low: -Infinity, high: Infinity };
      const next = { ...was, [side]: given ?? (side === "low" ? -Infinity : Infinity) };
      setRange(view, facet, next.low, next.high);
      refresh();
    },
  });
  const inputs = make("div", { class: "range" }, input("low", filter?.low), "to", input("high", filter?.high));
  return fieldset(facet, group, inputs);
}

/** Filter by one bar; the same one again takes the filter away, and Shift extends it. */
function pickBin(view, facet, from, to, extend) {
  const was = view.filters.get(facet.key);
  if (extend && was) setRange(view, facet, Math.min(was.low, from), Math.max(was.high, to));
  else if (was && was.low === from && was.high === to) view.filters.delete(facet.key);
  else setRange(view, facet, from, to);
  refresh();
}

function moveAmong(event, bars) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  event.stopPropagation();
  const next = bars[bars.indexOf(event.target) + step];
  next?.focus();
}
