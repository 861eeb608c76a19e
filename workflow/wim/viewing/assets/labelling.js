// Labelling: a pair with its sides drawn at random, its rewards hidden until one is chosen.

let queue = [];
let asked = 0; // The place in the queue.

function drawLabelling(message = "") {
  const place = document.getElementById("detail");
  document.body.dataset.pane = "detail";
  if (!annotator) {
    place.replaceChildren(nameForm());
    place.querySelector("input").focus();
    return;
  }
  if (!queue.length) {
    place.replaceChildren(make("p", { text: "No pairs to label: clear the filters of the pairs." }));
    return;
  }
  const row = queue[asked];
  const given = labels.get(pairKey(row));
  const decided = given && given.label !== "skip";
  const [left, right] = sidesOf(row);
  const side = (candidate, title) => ({ candidate, title, kind: "", facts: [], hidden: !decided });
  place.replaceChildren(
    progressBar(row),
    ...(message || storageFailed ? [make("p", { class: "reasons", role: "status",
      text: message || `This browser keeps no labels (${storageFailed}): save often.` })] : []),
    conversation(left),
    sideBySide([side(left, "Left"), side(right, "Right")]),
    ...(decided ? [
      rewardTable([left, right], ["left", "right"], row.reward),
      ...comparisonParts(left, right, ["the left", "the right"]),
    ] : []),
    choices(row, given, decided ? revealed(row, left, given.label) : null),
  );
  place.scrollTop = 0;
}

function nameForm() {
  return make("form", { class: "name", onkeydown: (event) => event.stopPropagation() },
    make("h2", { text: "Label pairs" }),
    make("p", { text: "Two responses are shown, their sides drawn at random; rewards are hidden until you have chosen. Labels stay in this browser until you save them as a file, which gate.pairs takes." }),
    make("label", { for: "annotator", text: "Your name, which is written beside your labels" }),
    make("input", { id: "annotator", autocomplete: "off", maxlength: "80" }),
    make("button", { type: "button", id: "begin", text: "Begin", onclick: beginLabelling }));
}

function beginLabelling() {
  const name = document.getElementById("annotator").value.trim();
  if (!name) {
    document.getElementById("annotator").focus();
    return;
  }
  annotator = name;
  loadLabels();
  const view = views.pairs;
  queue = queueOf(view.rows.filter((row) => passes(row, view.filters, view.facets)));
  asked = Math.max(0, queue.findIndex((row) => !labels.has(pairKey(row))));
  drawLabelling();
}

function progressBar(row) {
  const counts = { left: 0, right: 0, tie: 0, skip: 0 };
  for (const each of queue) {
    const given = labels.get(pairKey(each));
    if (given) counts[given.label] += 1;
  }
  const labelled = counts.left + counts.right + counts.tie;
  const open = make("input", { type: "file", id: "open", accept: ".json,application/json",
    onchange: async (event) => drawLabelling(await openLabels(event.target.files[0], queue)) });
  return make("div", { class: "bar" },
    make("h2", { text: `Pair ${asked + 1} of ${queue.length}` }),
    make("span", { id: "progress", role: "status",
      text: `${labelled} labelled (${plural(counts.tie, "tie")}), ${counts.skip} skipped, by ${annotator}` }),
    make("button", { type: "button", id: "save", text: "Save labels", disabled: labelled === 0,
      onclick: () => { saveLabels(queue); drawLabelling("Saved. Write the file's path to gate.pairs."); } }),
    make("label", { for: "open", class: "button", text: "Open" }), open,
    make("button", { type: "button", text: "Another name",
      onclick: () => { annotator = ""; drawLabelling(); } }),
    make("button", { type: "button", text: "Previous", disabled: asked === 0, onclick: () => ask(-1) }),
    make("button", { type: "button", id: "next", text: "Next", disabled: asked === queue.length - 1,
      onclick: () => ask(1) }));
}

function ask(step) {
  const next = asked + step;
  if (next < 0 || next >= queue.length) return;
  asked = next;
  drawLabelling();
}

function choices(row, given, found) {
  const why = make("textarea", { id: "why", rows: "2", onkeydown: (event) => event.stopPropagation(),
    oninput: (event) => {
      const kept = labels.get(pairKey(row));
      if (kept) keepLabel(row, kept.label, event.target.value);
    } });
  why.value = given?.why ?? "";
  const button = (value, text, key) => make("button", {
    type: "button", class: "verdict", id: `label-${value}`, "aria-keyshortcuts": key,
    "aria-pressed": String(given?.label === value), text,
    onclick: () => label(row, value, why.value),
  });
  return make("div", { class: "choices" },
    found,
    button("left", "← Left is better", "ArrowLeft"), button("tie", "Tie (t)", "t"),
    button("right", "Right is better →", "ArrowRight"), button("skip", "Skip (s)", "s"),
    make("label", { for: "why", text: "Why" }), why);
}

/** Keep a label. The first one of a pair shows its rewards; a skip goes on to the next pair. */
function label(row, value, why) {
  keepLabel(row, value, why);
  if (value === "skip" && asked < queue.length - 1) ask(1);
  else drawLabelling();
}

function revealed(row, left, given) {
  const preferred = left === row.chosen ? "left" : "right";
  const agrees = given === "tie" ? "You saw a tie." : given === preferred ? "You agree." : "You disagree.";
  return make("p", { class: "reveal", role: "status",
    text: `The reward ${row.reward} prefers the ${preferred} by ${shown(row.margin)}. ${agrees}` });
}

/** The keys of labelling; whether the event was one. */
function labellingKey(event) {
  if (!annotator || !queue.length) return false;
  const value = { ArrowLeft: "left", ArrowRight: "right", t: "tie", s: "skip" }[event.key];
  if (value) label(queue[asked], value, document.getElementById("why").value);
  else if (event.key === "j" || event.key === "Enter") ask(1);
  else if (event.key === "k") ask(-1);
  else return false;
  event.preventDefault();
  return true;
}
