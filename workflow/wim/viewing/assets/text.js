// Texts of rows as nodes. Nothing here, or anywhere else, makes HTML of a string.

/** An element with properties, attributes (names with - or in ATTRIBUTES) and children. */
function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "onclick" || key === "oninput" || key === "onchange" || key === "onkeydown") {
      element.addEventListener(key.slice(2), value);
    } else if (key === "text") {
      element.textContent = value;
    } else {
      element.setAttribute(key, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Characters that are not seen and may change how others are read: controls, marks of direction,
// and what is invisible. Each is isolated, and its name is shown beside it.
const UNSEEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\u3164\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

/** A text's characters as nodes, with what cannot be seen named. */
function visible(text) {
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(UNSEEN)) {
    if (found.index > from) nodes.push(document.createTextNode(text.slice(from, found.index)));
    const code = found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    nodes.push(make("span", { class: "unseen", "data-code": `U+${code}`, text: found[0] }));
    from = found.index + found[0].length;
  }
  if (from < text.length) nodes.push(document.createTextNode(text.slice(from)));
  return nodes;
}

/** A text as a block, its own direction within it; marked: pieces of {text, differs} instead. */
function block(text, marked = null, name = "div") {
  const element = make(name, { class: "text", dir: "auto" });
  for (const piece of marked ?? [{ text, differs: false }]) {
    const nodes = visible(piece.text);
    if (piece.differs) element.append(make("mark", {}, ...nodes));
    else element.append(...nodes);
  }
  if (!text) element.append(make("em", { class: "empty", text: "(empty)" }));
  return element;
}

const WORD = /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Thai}|[\p{L}\p{M}\p{N}_'’]+|\s+|[^\s\p{L}\p{N}]/gu;
const DIFFERENCE_MS = 300;

/** Two texts as pieces of {text, differs}; null for both if comparing them would take too long. */
function differences(one, other) {
  const words = [one, other].map((text) => text.match(WORD) ?? []);
  const found = Diff.diffArrays(words[0], words[1], { timeout: DIFFERENCE_MS });
  if (!found) return [null, null];
  const sides = [[], []];
  for (const change of found) {
    const text = change.value.join("");
    if (!change.added) sides[0].push({ text, differs: Boolean(change.removed) });
    if (!change.removed) sides[1].push({ text, differs: Boolean(change.added) });
  }
  return sides.map(joined);
}

/** Pieces with the spaces between two that differ counted among these, and joined. */
function joined(pieces) {
  const found = [];
  pieces.forEach((piece, i) => {
    const between = !piece.text.trim() && pieces[i - 1]?.differs && pieces[i + 1]?.differs;
    const differs = piece.differs || Boolean(between);
    const last = found[found.length - 1];
    if (last && last.differs === differs) last.text += piece.text;
    else found.push({ text: piece.text, differs });
  });
  return found;
}

/** A number in few digits; a dash for none. */
function shown(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en").replace("-", "−");
  return value.toFixed(digits).replace("-", "−");
}

function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}
