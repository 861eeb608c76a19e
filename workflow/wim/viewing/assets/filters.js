// Which rows of a view are shown: by its filters and by the words that are searched for.

let current = "pairs"; // The view.
let query = "";
let matching = []; // The rows that are shown, in the order in which they are.

const valuesOf = (row, facet) => {
  const value = row[facet.key];
  if (value === null || value === undefined) return [];
  return Array.isArray(value) ? value : [value];
};

/** Whether a row passes the filters of its view, those of one facet aside. */
function passes(row, filters, facets, aside = null) {
  for (const facet of facets) {
    if (facet === aside) continue;
    const filter = filters.get(facet.key);
    if (!filter) continue;
    if (facet.kind === "choice") {
      if (!valuesOf(row, facet).some((value) => filter.has(value))) return false;
    } else {
      const value = row[facet.key];
      if (value === null || value < filter.low || value > filter.high) return false;
    }
  }
  return true;
}

/** The words and "phrases" of a query, folded. */
function terms(text) {
  const found = [];
  for (const [, phrase, word] of text.matchAll(/"([^"]+)"|(\S+)/g)) {
    found.push(fold(phrase ?? word));
  }
  return found;
}

const fold = (text) => text.normalize("NFKC").toLowerCase();

// What is searched, folded at the first search: each context once, and each candidate with what
// judges said of it.
const folded = { contexts: null, candidates: null };

function foldTexts() {
  folded.contexts = data.contexts.map((context) => fold(context.map((m) => m.content).join("\n")));
  folded.candidates = data.candidates.completion.map((text, candidate) => fold([
    text,
    data.candidates.reasoning[candidate] ?? "",
    data.candidates.candidate_id[candidate],
    data.candidates.prompt_id[candidate],
    ...judgements(candidate).map((row) => `${row.wim ?? ""}\n${row.raw}`),
  ].join("\n")));
}

/** A function of rows: whether each term stands in its conversation, responses or critiques. */
function search(text) {
  const wanted = terms(text);
  if (!wanted.length) return () => true;
  if (!folded.contexts) foldTexts();
  const found = wanted.map((term) => ({
    contexts: folded.contexts.map((each) => each.includes(term)),
    candidates: folded.candidates.map((each) => each.includes(term)),
  }));
  const contextOf = data.candidates.context;
  return (row) => found.every(({ contexts, candidates }) => row.candidates.some(
    (candidate) => candidates[candidate] || contexts[contextOf[candidate]],
  ));
}

/** Compute `matching`, and for each facet the rows that all other filters let pass. */
function select() {
  const view = views[current];
  const searched = view.rows.filter(search(query));
  matching = searched.filter((row) => passes(row, view.filters, view.facets));
  const sort = view.sorts[view.sort ?? Object.keys(view.sorts)[0]];
  matching.sort(sort);
  view.faceted = new Map(view.facets.map((facet) => [
    facet.key,
    view.filters.has(facet.key)
      ? searched.filter((row) => passes(row, view.filters, view.facets, facet))
      : matching,
  ]));
}

function toggleChoice(view, facet, value) {
  const chosen = new Set(view.filters.get(facet.key) ?? []);
  if (chosen.has(value)) chosen.delete(value);
  else chosen.add(value);
  if (chosen.size) view.filters.set(facet.key, chosen);
  else view.filters.delete(facet.key);
}

function setRange(view, facet, low, high) {
  if (low === -Infinity && high === Infinity) view.filters.delete(facet.key);
  else view.filters.set(facet.key, { low, high });
}
