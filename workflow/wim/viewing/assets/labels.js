// Labels of one annotator: kept in the browser, and saved as a file that `gate.pairs` takes.

let annotator = "";
let labels = new Map(); // Pair -> {label: "left", "right", "tie" or "skip", why}.
let unsaved = 0;
let storageFailed = null;

/** The two candidates of a pair by their ids, whichever was chosen, in whichever arm. */
function pairKey(row) {
  return row.candidates.map((candidate) => data.candidates.candidate_id[candidate]).sort().join(".");
}

/** A number below 1 that follows from texts. */
function drawn(...texts) {
  let one = 0xdeadbeef;
  let other = 0x41c6ce57;
  for (const character of texts.join("\u0000")) {
    const code = character.codePointAt(0);
    one = Math.imul(one ^ code, 2654435761);
    other = Math.imul(other ^ code, 1597334677);
  }
  one = Math.imul(one ^ (one >>> 16), 2246822507) ^ Math.imul(other ^ (other >>> 13), 3266489909);
  return (one >>> 0) / 2 ** 32;
}

/** A pair's candidates as this annotator sees them, left and right. */
function sidesOf(row) {
  const ids = data.candidates.candidate_id;
  const sides = [...row.candidates].sort((a, b) => (ids[a] < ids[b] ? -1 : 1));
  return drawn(String(data.seed), annotator, pairKey(row)) < 0.5 ? sides : sides.reverse();
}

/** The pairs to label, each once, in an order drawn by the seed and the annotator's name. */
function queueOf(rows) {
  const distinct = new Map();
  for (const row of rows) if (!distinct.has(pairKey(row))) distinct.set(pairKey(row), row);
  return [...distinct]
    .map(([key, row]) => [drawn(String(data.seed), "order", annotator, key), row])
    .sort((a, b) => a[0] - b[0])
    .map(([, row]) => row);
}

const storageKey = () => `wim-labels:${annotator}`;

function loadLabels() {
  labels = new Map();
  try {
    const kept = JSON.parse(localStorage.getItem(storageKey()) ?? "{}");
    labels = new Map(Object.entries(kept));
    storageFailed = null;
  } catch (error) {
    storageFailed = error.message;
  }
}

function keepLabel(row, label, why) {
  labels.set(pairKey(row), { label, why });
  unsaved += 1;
  try {
    localStorage.setItem(storageKey(), JSON.stringify(Object.fromEntries(labels)));
    storageFailed = null;
  } catch (error) {
    storageFailed = error.message;
  }
}

/** The labelled pairs of these rows in the gate's format; what was skipped is not among them. */
function labelledPairs(rows) {
  const found = [];
  for (const row of rows) {
    const given = labels.get(pairKey(row));
    if (!given || given.label === "skip") continue;
    const [left, right] = sidesOf(row);
    const context = data.contexts[data.candidates.context[left]];
    const alone = context.length === 1 && context[0].role === "user";
    found.push({
      input: alone ? context[0].content : context,
      output_1: data.candidates.completion[left],
      output_2: data.candidates.completion[right],
      label: { left: 1, right: 2, tie: "tie" }[given.label],
      annotator,
      subset: row.subset ?? row.arm,
      ...(given.why ? { why: given.why } : {}),
    });
  }
  return found;
}

function saveLabels(rows) {
  const text = `${JSON.stringify(labelledPairs(rows), null, 1)}\n`;
  const link = make("a", { download: `labels-${annotator.replace(/[^\w.-]+/g, "_")}.json` });
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  unsaved = 0;
}

/** Take in a file of labels that this annotator saved before; returns what was found. */
async function openLabels(file, rows) {
  let given;
  try {
    given = JSON.parse(await file.text());
  } catch (error) {
    return `${file.name}: not JSON (${error.message}); choose a file that this page saved.`;
  }
  if (!Array.isArray(given)) return `${file.name}: no list of labelled pairs.`;
  const known = new Map();
  for (const row of rows) {
    const texts = row.candidates.map((candidate) => data.candidates.completion[candidate]);
    known.set(JSON.stringify(texts), row).set(JSON.stringify(texts.reverse()), row);
  }
  let taken = 0;
  let others = 0;
  for (const one of given) {
    const row = known.get(JSON.stringify([one.output_1, one.output_2]));
    if (!row || one.annotator !== annotator) {
      others += 1;
      continue;
    }
    const left = data.candidates.completion[sidesOf(row)[0]] === one.output_1;
    const label = one.label === "tie" ? "tie" : (one.label === 1) === left ? "left" : "right";
    keepLabel(row, label, one.why ?? "");
    taken += 1;
  }
  return `${file.name}: ${plural(taken, "label")} taken in`
    + (others ? `, ${others} left out: of other annotators or of pairs that are not here.` : ".");
}
