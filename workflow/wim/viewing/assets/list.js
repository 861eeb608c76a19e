// The list of rows: only those in sight are in the document.

const ROW = 64; // Height of a row, in pixels, as in page.css.
const AROUND = 8;
let position = -1; // Of the chosen row among those shown.

function drawList() {
  const list = document.getElementById("list");
  const scroll = document.getElementById("scroll");
  list.style.blockSize = `${matching.length * ROW}px`;
  const first = Math.max(0, Math.floor(scroll.scrollTop / ROW) - AROUND);
  const last = Math.min(matching.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / ROW) + AROUND);
  const focused = list.contains(document.activeElement);
  const items = [];
  for (let place = first; place < last; place += 1) items.push(item(matching[place], place));
  list.replaceChildren(...items);
  if (focused) list.querySelector("[aria-current]")?.focus({ preventScroll: true });
}

function item(row, place) {
  const link = make(
    "a",
    { href: address(row), "aria-current": place === position ? "true" : null },
    make("span", { class: "line", dir: "auto" }, ...visible(firstWords(question(row.candidates[0])))),
    make("span", { class: "facts" }, ...facts(row)),
  );
  const element = make("li", { "aria-setsize": matching.length, "aria-posinset": place + 1 }, link);
  element.style.insetBlockStart = `${place * ROW}px`;
  return element;
}

const firstWords = (text) => text.slice(0, 160).replace(/\s+/g, " ") || "(empty prompt)";

function facts(row) {
  const chip = (text, kind = "") => make("span", { class: `chip ${kind}` }, ...visible(text));
  if (row.kind === "pairs") {
    const arms = new Set(data.pairs.arm);
    return [
      chip(`margin ${shown(row.margin)}`, "number"),
      ...(arms.size > 1 ? [chip(row.arm)] : []),
      ...row.reasons.map((reason) => chip(reason, "reason")),
      ...(row.cut === "neither" ? [] : [chip(`cut: ${row.cut}`)]),
    ];
  }
  if (row.kind === "candidates") {
    return [
      chip(row.policy), ...row.causes.map((cause) => chip(cause, "reason")),
      chip(`${row.length.toLocaleString("en")} characters`),
    ];
  }
  return [
    chip(row.verdict, row.verdict), chip(`${row.speaker} against ${row.reference}`),
    chip(row.evaluation), ...(row.cause ? [chip(row.cause, "reason")] : []),
  ];
}

/** Show a row by its place among those shown; on a narrow screen `open` shows it in the place of the list. */
function choose(place, { reveal = true, address: write = true, open = true } = {}) {
  if (place < 0 || place >= matching.length) return;
  position = place;
  if (open) document.body.dataset.pane = "detail";
  if (reveal) {
    const scroll = document.getElementById("scroll");
    const top = place * ROW;
    if (top < scroll.scrollTop) scroll.scrollTop = top;
    if (top + ROW > scroll.scrollTop + scroll.clientHeight) {
      scroll.scrollTop = top + ROW - scroll.clientHeight;
    }
  }
  drawList();
  drawDetail(matching[place]);
  if (write) history.replaceState(null, "", address(matching[place]));
}

const address = (row) => `#${row.kind}=${encodeURIComponent(row.id)}`;
