// Candidates with their probabilities as bars: the same list wherever something can be chosen.

import { fill, make, percent, visibleText } from "./dom.js";

/** One candidate; a button if it can be chosen. `kept` false: cut off by top-k or top-p. */
function barRow({ text, probability, kept }, onChoose, isChosen) {
  const bar = make("span", { class: "fill" });
  bar.style.setProperty("--share", probability);
  const cut = make("span", { class: "unseen" }, kept === false ? " (cut off)" : "");
  const parts = [
    bar,
    make("span", { class: "name" }, visibleText(text), cut),
    make("span", { class: "number" }, percent(probability)),
  ];
  const settings = { class: "bar", "aria-current": isChosen ? "true" : null };
  const inner = onChoose
    ? make("button", { type: "button", ...settings, on: { click: () => onChoose(text) } }, parts)
    : make("span", settings, parts);
  return make("li", { class: kept === false ? "bar-row cut" : "bar-row" }, inner);
}

/** Fills a list with candidates; rows that stay are moved along, so that their bars glide. */
export function showBars(list, candidates, onChoose, chosen) {
  const before = new Map([...list.children].map((row) => [row.candidate, row]));
  const rows = candidates.map((candidate) => {
    const key = `${candidate.text}\u0000${candidate.text === chosen}`;
    const old = before.get(key);
    if (!old)
      return Object.assign(barRow(candidate, onChoose, candidate.text === chosen), { candidate: key });
    before.delete(key);
    old.classList.toggle("cut", candidate.kept === false);
    old.querySelector(".unseen").textContent = candidate.kept === false ? " (cut off)" : "";
    old.querySelector(".fill").style.setProperty("--share", candidate.probability);
    old.querySelector(".number").textContent = percent(candidate.probability);
    return old;
  });
  fill(list, rows);
}
