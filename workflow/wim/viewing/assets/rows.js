// The rows of each view: pairs, candidates without a reward, and outcomes of evaluations.

let views = {};

function makeViews() {
  const pairs = pairRows();
  const candidates = candidateRows();
  const outcomes = outcomeRows();
  views = {
    pairs: {
      name: "Pairs", rows: pairs, facets: PAIR_FACETS, sorts: PAIR_SORTS, filters: new Map(),
    },
    candidates: {
      name: "Candidates", rows: candidates, facets: CANDIDATE_FACETS, sorts: CANDIDATE_SORTS,
      filters: new Map(),
    },
    evaluations: {
      name: "Evaluations", rows: outcomes, facets: OUTCOME_FACETS, sorts: OUTCOME_SORTS,
      filters: new Map(),
    },
  };
  for (const view of Object.values(views)) {
    view.byId = new Map(view.rows.map((row) => [row.id, row]));
  }
}

/** The share of values below each: 0 for the smallest, towards 1 for the largest. */
function ranks(values) {
  const sorted = Float64Array.from(values).sort();
  return values.map((value) => {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < value) low = middle + 1;
      else high = middle;
    }
    return sorted.length > 1 ? low / (sorted.length - 1) : 0;
  });
}

function pairRows() {
  const columns = data.pairs;
  const ids = data.candidates.candidate_id;
  const compared = Object.keys(data.rewards).filter((name) => !data.controls.includes(name)).length;
  const rows = (columns.chosen ?? []).map((chosen, i) => {
    const rejected = columns.rejected[i];
    const sides = [chosen, rejected].map(judgements);
    const lengths = [chosen, rejected].map(lengthOf);
    const cuts = [cut(chosen) ? "chosen" : "", cut(rejected) ? "rejected" : ""].join(" ").trim();
    return {
      kind: "pairs",
      id: [columns.arm[i], columns.round[i], ids[chosen], ids[rejected]].join("."),
      arm: columns.arm[i],
      round: String(columns.round[i]),
      subset: columns.subset?.[i],
      chosen,
      rejected,
      candidates: [chosen, rejected],
      split: columns.split[i],
      reward: columns.reward[i],
      judge: columns.judge[i],
      margin: columns.margin[i],
      scores: [columns.score_chosen[i], columns.score_rejected[i]],
      score: columns.score_chosen[i],
      statuses: [...new Set(sides.flat().map((row) => row.status))],
      cut: cuts.includes(" ") ? "both" : cuts || "neither",
      script: [...new Set([chosen, rejected].map((c) => data.candidates.script[c] ?? "none"))],
      length: Math.max(...lengths),
      ratio: Math.log2((lengths[0] + 1) / (lengths[1] + 1)),
      echo: Math.max(0, ...sides.flat().map((row) => row.echo ?? 0)),
      against: columns.against[i],
      disagreement: compared > 1 ? columns.against[i].length / compared : 0,
    };
  });
  markSuspicion(rows);
  return rows;
}

/** How suspicious each pair is, 0 to 1: the mean of four shares, and which of them stand out. */
function markSuspicion(rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = `${row.arm}.${row.round}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  for (const group of groups.values()) {
    const margins = ranks(group.map((row) => Math.abs(row.margin)));
    group.forEach((row, i) => { row.marginRank = margins[i]; });
  }
  const ratios = ranks(rows.map((row) => Math.abs(row.ratio)));
  rows.forEach((row, i) => {
    row.suspicion = (row.marginRank + row.disagreement + row.echo + ratios[i]) / 4;
    row.reasons = [];
    if (row.marginRank >= 0.95) row.reasons.push("widest margins");
    if (row.against.length) row.reasons.push(`against: ${row.against.join(", ")}`);
    if (row.echo >= 0.3) row.reasons.push(`critique echoes ${Math.round(100 * row.echo)} %`);
    if (Math.abs(row.ratio) >= 1) {
      const times = (2 ** Math.abs(row.ratio)).toFixed(1);
      row.reasons.push(`chosen ${times} × ${row.ratio > 0 ? "longer" : "shorter"}`);
    }
  });
}

function candidateRows() {
  const columns = data.candidates;
  const paired = new Set([...(data.pairs.chosen ?? []), ...(data.pairs.rejected ?? [])]);
  return columns.candidate_id.map((id, candidate) => {
    const of = judgements(candidate);
    const without = [];
    const values = [];
    for (const name of Object.keys(data.rewards)) {
      const found = rewardOf(name, candidate);
      if (found && found.reward === null) without.push({ name, status: found.status });
      else if (found) values.push(found.reward);
    }
    const answered = columns.judged[candidate];
    const causes = new Set(without.map((each) => each.status));
    for (const row of of) if (!data.usable.includes(row.status)) causes.add(row.status);
    if (!answered) causes.add("not judged");
    return {
      kind: "candidates",
      id,
      candidate,
      candidates: [candidate],
      policy: columns.policy[candidate],
      split: columns.split[candidate] ?? "none",
      statuses: [...new Set(of.map((row) => row.status))],
      causes: [...causes],
      without,
      rewards: without.length || !answered ? "without" : values.length ? "with" : "not scored",
      cut: cut(candidate) ? "cut" : "not cut",
      script: [columns.script[candidate] ?? "none"],
      length: lengthOf(candidate),
      paired: paired.has(candidate) ? "in a pair" : "in no pair",
      judge: [...new Set(of.map((row) => row.judge))],
      echo: Math.max(0, ...of.map((row) => row.echo ?? 0)),
    };
  });
}

function outcomeRows() {
  const columns = data.outcomes ?? { own: [] };
  return columns.own.map((own, i) => {
    const other = columns.other[i];
    const score = columns.score[i];
    const verdict = score === null ? "failed" : score > 0.5 ? "win" : score < 0.5 ? "loss" : "tie";
    return {
      kind: "evaluations",
      id: [columns.evaluation[i], columns.speaker[i], columns.prompt_id[i]].join("."),
      evaluation: columns.evaluation[i],
      speaker: columns.speaker[i],
      reference: columns.reference[i],
      by: columns.by[i],
      own,
      other,
      candidates: [own, other],
      score,
      verdict,
      cause: columns.cause[i],
      script: [...new Set([own, other].map((c) => data.candidates.script[c] ?? "none"))],
      length: Math.max(lengthOf(own), lengthOf(other)),
      ratio: Math.log2((lengthOf(own) + 1) / (lengthOf(other) + 1)),
    };
  });
}

const byNumber = (name, sign = 1) => (a, b) => sign * ((a[name] ?? 0) - (b[name] ?? 0));

const PAIR_SORTS = {
  "most suspicious": byNumber("suspicion", -1),
  "widest margin": (a, b) => Math.abs(b.margin) - Math.abs(a.margin),
  "narrowest margin": (a, b) => Math.abs(a.margin) - Math.abs(b.margin),
  "rewards disagree": byNumber("disagreement", -1),
  "critique echoes": byNumber("echo", -1),
  "longest against shortest": (a, b) => Math.abs(b.ratio) - Math.abs(a.ratio),
  "as in the table": () => 0,
};
const CANDIDATE_SORTS = {
  "as in the table": () => 0,
  longest: byNumber("length", -1),
  shortest: byNumber("length"),
  "critique echoes": byNumber("echo", -1),
};
const OUTCOME_SORTS = {
  "clearest losses": (a, b) => (a.score ?? 2) - (b.score ?? 2),
  "clearest wins": (a, b) => (b.score ?? -1) - (a.score ?? -1),
  "longest against shortest": (a, b) => Math.abs(b.ratio) - Math.abs(a.ratio),
};

const choice = (key, name) => ({ key, name, kind: "choice" });
const range = (key, name, digits = 2) => ({ key, name, kind: "range", digits });

const PAIR_FACETS = [
  choice("arm", "Arm"), choice("round", "Round"), choice("reward", "Reward"),
  choice("judge", "Judge"), choice("split", "Split"), range("margin", "Margin"),
  range("score", "Score of the chosen"), range("ratio", "Length, chosen : rejected (log2)"),
  range("length", "Length of the longer (characters)", 0), choice("statuses", "Status"),
  choice("cut", "Cut"), choice("script", "Writing system"), choice("against", "Rewards against"),
  range("echo", "Critique copied (share)"),
];
const CANDIDATE_FACETS = [
  choice("rewards", "Rewards"), choice("causes", "Reason"), choice("policy", "Policy"),
  choice("judge", "Judge"), choice("statuses", "Status"), choice("split", "Split"),
  choice("cut", "Cut"), choice("paired", "Pairs"), choice("script", "Writing system"),
  range("length", "Length (characters)", 0), range("echo", "Critique copied (share)"),
];
const OUTCOME_FACETS = [
  choice("evaluation", "Evaluation"), choice("speaker", "Speaker"), choice("verdict", "Verdict"),
  choice("by", "Judge or reward"), choice("cause", "Cause of failure"), range("score", "Score"),
  range("ratio", "Length, speaker : reference (log2)"), choice("script", "Writing system"),
];
