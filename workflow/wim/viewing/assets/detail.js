// One row in full: its conversation, its responses side by side, and what was said of them.

let marking = true; // Whether the differing words are marked.

function drawDetail(row) {
  const place = document.getElementById("detail");
  const head = make(
    "div",
    { class: "bar" },
    make("button", { type: "button", class: "back", text: "Back to the list", onclick: backToList }),
    make("h2", { text: headingOf(row) }),
    make("a", { href: address(row), class: "permalink", text: "Link" }),
    ...(row.candidates.length > 1 ? [make("button", {
      type: "button", "aria-pressed": String(marking), id: "marking", text: "Mark differences",
      onclick: () => { marking = !marking; drawDetail(row); },
    })] : []),
    make("button", { type: "button", text: "Previous", onclick: () => choose(position - 1) }),
    make("button", { type: "button", text: "Next", onclick: () => choose(position + 1) }),
  );
  const parts = { pairs: pairParts, candidates: candidateParts, evaluations: outcomeParts };
  place.replaceChildren(head, conversation(row.candidates[0]), ...parts[row.kind](row));
  place.scrollTop = 0;
}

function backToList() {
  document.body.dataset.pane = "list";
  drawList();
  document.querySelector("#list [aria-current]")?.focus();
}

function headingOf(row) {
  const of = `${(position + 1).toLocaleString("en")} of ${matching.length.toLocaleString("en")}`;
  if (row.kind === "pairs") return `Pair ${of}: ${row.arm}, round ${row.round}, ${row.split}`;
  if (row.kind === "candidates") return `Candidate ${of}: ${row.policy}, ${row.split}`;
  return `Answer ${of}: ${row.evaluation}, ${row.speaker} against ${row.reference}`;
}

function conversation(candidate) {
  const context = data.contexts[data.candidates.context[candidate]];
  return make("section", { class: "conversation", "aria-label": "Conversation" }, ...context.map(
    (message) => make("div", { class: "message" },
      make("h3", {}, ...visible(message.role)), block(message.content)),
  ));
}

/** Two responses side by side; each is {candidate, title, kind, facts}. */
function sideBySide(sides) {
  const texts = sides.map((side) => data.candidates.completion[side.candidate]);
  const marked = marking && sides.length > 1 ? differences(...texts) : [null, null];
  return make("div", { class: "sides" }, ...sides.map((side, i) => make(
    "section",
    { class: `side ${side.kind}`, "aria-label": side.title },
    make("h3", {}, ...visible(side.title)),
    make("p", { class: "facts" }, ...[...side.facts, ...factsOf(side.candidate)].map(
      (text) => make("span", { class: "chip" }, ...visible(text)),
    )),
    ...thoughts(data.candidates.reasoning[side.candidate], "Reasoning before the response"),
    block(texts[i], marked[i]),
    ...(side.hidden ? [] : judgements(side.candidate).map(judgementPart)),
  )));
}

function factsOf(candidate) {
  const columns = data.candidates;
  return [
    plural(lengthOf(candidate), "character"),
    plural(columns.completion_tokens[candidate], "token"),
    ...(cut(candidate) ? ["cut at its longest"] : []),
    ...(columns.turn[candidate] > 1 ? [`turn ${columns.turn[candidate]}`] : []),
  ];
}

function thoughts(text, title) {
  if (text === null || text === undefined) return [];
  return [make("details", {}, make("summary", { text: title }), block(text))];
}

const mostSamples = new Map();

function samplesOf(judge) {
  if (!mostSamples.has(judge)) {
    mostSamples.set(judge, data.ratings[judge].sample.reduce((a, b) => Math.max(a, b), 1));
  }
  return mostSamples.get(judge);
}

function judgementPart(row) {
  const number = [
    row.rating === null ? null : `rating ${shown(row.rating)}`,
    row.rating_expected === null ? null : `expected ${shown(row.rating_expected, 2)}`,
    row.nothing_missing_logprob === null ? null
      : `log p(nothing missing) ${shown(row.nothing_missing_logprob, 2)}`,
    row.attempts > 1 ? `${row.attempts} attempts` : null,
    row.echo ? `${Math.round(100 * row.echo)} % copied from the response` : null,
  ].filter(Boolean);
  const usable = data.usable.includes(row.status);
  const title = [`Judge ${row.judge}`, samplesOf(row.judge) > 1 ? `sample ${row.sample}` : null, row.aspect]
    .filter(Boolean).join(", ");
  return make(
    "section", { class: "judgement", "aria-label": title },
    make("h4", {}, ...visible(title)),
    make("p", { class: "facts" },
      make("span", { class: `chip ${usable ? "" : "reason"}`, text: row.status }),
      ...number.map((text) => make("span", { class: "chip", text }))),
    ...(row.wim === null ? [] : [make("h5", { text: "What is missing" }), block(row.wim)]),
    ...(row.raw === row.wim ? [] : thoughts(row.raw, "The judge's own words")),
    ...thoughts(row.reasoning, "The judge's reasoning"),
  );
}

function pairParts(row) {
  return [
    sideBySide([
      { candidate: row.chosen, title: "Chosen", kind: "chosen", facts: [`score ${shown(row.scores[0])}`] },
      { candidate: row.rejected, title: "Rejected", kind: "rejected", facts: [`score ${shown(row.scores[1])}`] },
    ]),
    rewardTable(row.candidates, ["chosen", "rejected"], row.reward),
    ...comparisonParts(row.chosen, row.rejected, ["the chosen", "the rejected"]),
  ];
}

function candidateParts(row) {
  const reasons = row.without.map((each) => `${each.name}: ${each.status}`);
  if (row.causes.includes("not judged")) reasons.push("not judged: not an answer, or not to be learnt from");
  return [
    sideBySide([{
      candidate: row.candidate, title: "Response", kind: "", facts: [row.paired],
    }]),
    ...(reasons.length ? [make("section", { class: "reasons", "aria-label": "Without a reward" },
      make("h3", { text: "Without a reward" }),
      make("ul", {}, ...reasons.map((text) => make("li", {}, ...visible(text)))))] : []),
    rewardTable(row.candidates, ["reward"], null),
  ];
}

function outcomeParts(row) {
  const score = row.score === null ? `failed: ${row.cause}` : `score ${shown(row.score, 2)}`;
  return [
    sideBySide([
      { candidate: row.own, title: row.speaker, kind: "chosen", facts: [row.verdict, score] },
      { candidate: row.other, title: `${row.reference} (reference)`, kind: "rejected", facts: [] },
    ]),
    rewardTable(row.candidates, [row.speaker, row.reference], null),
    ...comparisonParts(row.own, row.other, [row.speaker, row.reference]),
  ];
}

/** Every reward of one candidate, or of two with their difference. */
function rewardTable(candidates, titles, labelling) {
  const rows = Object.keys(data.rewards).map((name) => ({
    name, found: candidates.map((candidate) => rewardOf(name, candidate)),
  })).filter(({ found }) => found.some(Boolean));
  if (!rows.length) return make("p", { class: "quiet", text: "No reward." });
  const two = candidates.length > 1;
  const head = ["Reward", ...titles, ...(two ? ["difference"] : [])];
  const cell = (each) => {
    if (!each) return "not scored";
    return each.reward === null ? `none: ${each.status}` : shown(each.reward);
  };
  const body = rows.map(({ name, found }) => {
    const values = found.map((each) => each?.reward ?? null);
    const difference = two && !values.includes(null) ? values[0] - values[1] : null;
    const against = difference !== null && difference < 0;
    return make("tr", { class: against ? "against" : null },
      make("th", { scope: "row" }, ...visible(name === labelling ? `${name} (labels this arm)` : name)),
      ...found.map((each) => make("td", { text: cell(each) })),
      ...(two ? [make("td", { text: shown(difference) + (against ? " against" : "") })] : []));
  });
  return make("div", { class: "wide" }, make("table", {},
    make("caption", { text: "Rewards" }),
    make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, ...visible(text))))),
    make("tbody", {}, ...body)));
}

function comparisonParts(one, other, names) {
  return comparisonsOf(one, other).map((row) => {
    const [a, b] = row.a === one ? names : [names[1], names[0]];
    const winner = { a, b, tie: "a tie" }[row.winner] ?? `no verdict: ${row.status}`;
    return make("section", { class: "judgement", "aria-label": `Judge of pairs ${row.judge}` },
      make("h4", {}, ...visible(`Judge of pairs ${row.judge}`)),
      make("p", { class: "facts" }, make("span", { class: "chip" }, ...visible(`prefers ${winner}`)),
        ...(row.preference_a === null ? [] : [make("span", { class: "chip" },
          ...visible(`p(${a}) ${shown(row.preference_a, 2)}`))])),
      ...thoughts(row.raw_a_shown_first, `Its words, ${a} shown first`),
      ...thoughts(row.raw_b_shown_first, `Its words, ${b} shown first`));
  });
}
