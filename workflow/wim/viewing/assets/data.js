// The page's rows, unpacked: `data` is what wim.viewing.page wrote.

let data = null;
let judged = new Map(); // Candidate -> [{judge, place}], its judgements.
let rewarded = new Map(); // Reward -> Map of candidate -> place.

async function unpack() {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("This browser is too old: it has no DecompressionStream.");
  }
  const element = document.getElementById("packed");
  const text = element.textContent;
  element.remove();
  let bytes;
  if (Uint8Array.fromBase64) {
    bytes = Uint8Array.fromBase64(text);
  } else {
    const characters = atob(text);
    bytes = new Uint8Array(characters.length);
    for (let i = 0; i < characters.length; i += 1) bytes[i] = characters.charCodeAt(i);
  }
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  data = await new Response(stream).json();
  for (const [judge, columns] of Object.entries(data.ratings)) {
    columns.candidate.forEach((candidate, place) => {
      if (!judged.has(candidate)) judged.set(candidate, []);
      judged.get(candidate).push({ judge, place });
    });
  }
  for (const [reward, columns] of Object.entries(data.rewards)) {
    rewarded.set(reward, new Map(columns.candidate.map((candidate, place) => [candidate, place])));
  }
}

/** A candidate's judgements, as {judge, sample, aspect, status, rating, ...}: each whole one first. */
function judgements(candidate) {
  const found = (judged.get(candidate) ?? []).map(({ judge, place }) => {
    const columns = data.ratings[judge];
    const row = { judge };
    for (const name of Object.keys(columns)) row[name] = columns[name][place];
    return row;
  });
  const judges = [...new Set(found.map((row) => row.judge))];
  return judges.flatMap((judge) => found.filter((row) => row.judge === judge)
    .sort((one, other) => one.sample - other.sample || (one.aspect !== null) - (other.aspect !== null)));
}

/** A candidate's {reward, status, cosine} by a reward; null if it was not scored. */
function rewardOf(name, candidate) {
  const place = rewarded.get(name)?.get(candidate);
  if (place === undefined) return null;
  const columns = data.rewards[name];
  return {
    reward: columns.reward[place], status: columns.status[place], cosine: columns.cosine[place],
  };
}

/** What judges of pairs said of two candidates: `first` is the one that is a. */
function comparisonsOf(one, other) {
  const found = [];
  for (const [judge, columns] of Object.entries(data.comparisons)) {
    const places = pairPlaces(judge, columns).get(Math.min(one, other) * 2 ** 26 + Math.max(one, other));
    for (const place of places ?? []) {
      const row = { judge };
      for (const name of Object.keys(columns)) row[name] = columns[name][place];
      found.push(row);
    }
  }
  return found;
}

const placesOfPairs = new Map();

function pairPlaces(judge, columns) {
  if (!placesOfPairs.has(judge)) {
    const places = new Map();
    columns.a.forEach((a, place) => {
      const key = Math.min(a, columns.b[place]) * 2 ** 26 + Math.max(a, columns.b[place]);
      if (!places.has(key)) places.set(key, []);
      places.get(key).push(place);
    });
    placesOfPairs.set(judge, places);
  }
  return placesOfPairs.get(judge);
}

const cut = (candidate) => data.candidates.finish_reason[candidate] === "length";
const lengthOf = (candidate) => data.candidates.completion[candidate].length;

/** The last message of a candidate's context. */
function question(candidate) {
  const context = data.contexts[data.candidates.context[candidate]];
  return context.length ? context[context.length - 1].content : "";
}
