// Begin: unpack the rows, show a view, and answer keys, links and searches.

const LABEL = "label";
const THEMES = { auto: "system", light: "light", dark: "dark" };
const KEYS = [
  ["j or ↓", "next row"], ["k or ↑", "previous row"], ["Home, End", "first, last row"],
  ["/", "search"], ["Esc", "leave the search, or back to the list"], ["d", "mark differences"],
  ["1 to 4", "pairs, candidates, evaluations, labels"],
  ["← → t s", "when labelling: left, right, tie, skip"], ["?", "these keys"],
];

/** Draw everything that filters, sorting or the view decide; the chosen row stays if it is shown. */
function refresh({ keep = true, first = true } = {}) {
  const chosen = keep ? matching[position] : null;
  select();
  position = chosen ? matching.indexOf(chosen) : -1;
  drawFacets();
  const all = views[current].rows.length;
  document.getElementById("count").textContent = matching.length === all
    ? all.toLocaleString("en")
    : `${matching.length.toLocaleString("en")} of ${all.toLocaleString("en")}`;
  document.getElementById("clear").hidden = !views[current].filters.size && !query;
  if (position >= 0) {
    choose(position, { reveal: false, open: false });
  } else {
    document.getElementById("scroll").scrollTop = 0;
    drawList();
    if (!matching.length) showNothing();
    else if (first) choose(0, { address: false, open: false });
  }
}

function showNothing() {
  const text = views[current].rows.length ? "No row passes all filters." : "There are no such rows.";
  document.getElementById("detail").replaceChildren(make("p", { class: "quiet", text }));
  document.body.dataset.pane = "list";
}

function show(name, { keep = false, first = true } = {}) {
  document.body.dataset.view = name;
  for (const button of document.querySelectorAll("#views button")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === name));
  }
  if (name === LABEL) {
    history.replaceState(null, "", "#label");
    drawLabelling();
    return;
  }
  current = name;
  position = -1;
  const sorts = Object.keys(views[name].sorts);
  document.getElementById("sort").replaceChildren(
    ...sorts.map((sort) => make("option", { value: sort, text: sort })),
  );
  document.getElementById("sort").value = views[name].sort ?? sorts[0];
  refresh({ keep, first });
}

/** Show the row that the address names; false if there is none. */
function follow() {
  const [, kind, given] = /^#(\w+)(?:=(.*))?$/.exec(location.hash) ?? [];
  if (kind === LABEL) {
    show(LABEL);
    return true;
  }
  const view = views[kind];
  if (!view || given === undefined) return false;
  let id = given;
  try {
    id = decodeURIComponent(given);
  } catch {
    id = given; // An address with a lone %.
  }
  const row = view.byId.get(id);
  if (!row) {
    notify(`The row ${id} is not on this page.`);
    return false;
  }
  if (current !== kind || document.body.dataset.view !== kind) show(kind, { first: false });
  if (!matching.includes(row)) {
    clearFilters(view);
    refresh({ keep: false, first: false });
  }
  choose(matching.indexOf(row), { address: false });
  return true;
}

function clearFilters(view) {
  view.filters.clear();
  query = "";
  document.getElementById("search").value = "";
}

function notify(text) {
  document.getElementById("notice").textContent = text;
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.getElementById("keys").open) return;
  const typing = event.target.matches("input, textarea, select");
  if (event.key === "Escape") {
    event.preventDefault(); // A browser empties the search.
    if (typing) event.target.blur();
    else if (document.body.dataset.view !== LABEL) backToList();
    return;
  }
  if (typing) return;
  const names = [...Object.keys(views), LABEL];
  const labelling = document.body.dataset.view === LABEL;
  if (document.body.dataset.only) labellingKey(event);
  else if (/^[1-4]$/.test(event.key)) show(names[Number(event.key) - 1]);
  else if (event.key === "?") showKeys();
  else if (labelling) labellingKey(event);
  else if (event.key === "/") {
    event.preventDefault();
    document.getElementById("search").focus();
  } else if (event.key === "d") {
    marking = !marking;
    if (position >= 0) drawDetail(matching[position]);
  } else {
    const last = matching.length - 1;
    const next = {
      j: position + 1, ArrowDown: position + 1, k: position - 1, ArrowUp: position - 1,
      Home: 0, End: last,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(Math.max(0, Math.min(last, next)));
  }
}

function showKeys() {
  const dialog = document.getElementById("keys");
  dialog.replaceChildren(
    make("h2", { text: "Keys" }),
    make("dl", {}, ...KEYS.flatMap(([key, text]) => [make("dt", { text: key }), make("dd", { text })])),
    make("button", { type: "button", text: "Close", onclick: () => dialog.close() }),
  );
  dialog.showModal();
}

function nextTheme() {
  const names = Object.keys(THEMES);
  const root = document.documentElement;
  const next = names[(names.indexOf(root.dataset.theme) + 1) % names.length];
  root.dataset.theme = next;
  document.getElementById("theme").textContent = `Theme: ${THEMES[next]}`;
}

function wire() {
  document.getElementById("views").replaceChildren(
    ...[...Object.entries(views), [LABEL, { name: "Label", rows: views.pairs.rows }]].map(
      ([name, view]) => make("button", {
        type: "button", "data-view": name, disabled: !view.rows.length,
        text: name === LABEL ? view.name : `${view.name} ${view.rows.length.toLocaleString("en")}`,
        onclick: () => show(name),
      }),
    ),
  );
  let waiting = null;
  document.getElementById("search").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { query = event.target.value; refresh(); }, 120);
  });
  document.getElementById("sort").addEventListener("change", (event) => {
    views[current].sort = event.target.value;
    refresh({ keep: false });
  });
  document.getElementById("clear").addEventListener("click", () => {
    clearFilters(views[current]);
    refresh();
  });
  document.getElementById("theme").addEventListener("click", nextTheme);
  document.getElementById("help").addEventListener("click", showKeys);
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("detail").focus();
  });
  let frame = 0;
  const redraw = () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(drawList);
  };
  document.getElementById("scroll").addEventListener("scroll", redraw, { passive: true });
  window.addEventListener("resize", redraw);
  document.getElementById("list").addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (!item || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    choose(Number(item.getAttribute("aria-posinset")) - 1, { reveal: false });
  });
  window.addEventListener("hashchange", follow);
  window.addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
  document.addEventListener("keydown", onKey);
  if (window.innerWidth < 900) document.getElementById("side").open = false;
}

async function begin() {
  await unpack();
  makeViews();
  if (views.candidates.rows.some((row) => row.rewards === "without")) {
    views.candidates.filters.set("rewards", new Set(["without"]));
  }
  wire();
  if (data.sample) {
    const { prompts, of, pairs } = data.sample;
    notify(`A sample, drawn by the seed ${data.seed}: ${plural(prompts, "prompt")} of ${of.toLocaleString("en")}, with ${plural(views.pairs.rows.length, "pair")} of ${pairs.toLocaleString("en")}.`);
  }
  if (data.pairs.subset) {
    document.body.dataset.only = LABEL;
    show(LABEL);
    document.body.dataset.ready = "true";
    return;
  }
  const first = ["pairs", "evaluations", "candidates"];
  const name = first.find((each) => views[each].rows.length) ?? "pairs";
  if (!follow()) show(name);
  document.body.dataset.ready = "true";
}

begin().catch((error) => notify(`The page could not be opened: ${error.message}`));
