// What a chosen word looks at, or is looked at by, in words and numbers: the picture for those who do not
// see it.

import { fill, make, percent, spoken, visibleText } from "./dom.js";
import { strongest } from "./weights.js";

const SHOWN = 8;

/** A list beside the picture. `onChoose({row} | {column})` hears when one of its words is chosen. */
export class Readout {
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.title = make("h2", { "aria-live": "polite" });
    this.list = make("ol", { class: "bars" });
    this.element = make("section", { id: "readout", class: "card" }, this.title, this.list);
    this.clear();
  }

  clear(isGrid = false) {
    this.title.textContent = isGrid ? "Point at a head" : "Point at a word";
    if (isGrid)
      return fill(
        this.list,
        make(
          "li",
          { class: "hint" },
          "Each square is one head’s whole map; a click opens it. The table finds heads by what they do.",
        ),
      );
    return fill(
      this.list,
      make(
        "li",
        { class: "hint" },
        "Pointing shows what it looks at; a click holds it; arrow keys go on from there, Escape lets go.",
      ),
    );
  }

  /** What a head of the grid does: `measures` are [name, value as text, meaning]. */
  showHead(layer, head, measures) {
    fill(this.title, `Layer ${layer + 1}, head ${head + 1}`);
    const lines = measures.map(([name, value, meaning]) =>
      make(
        "li",
        { class: "measure" },
        make("span", {}, name),
        make("strong", {}, value),
        make("small", {}, meaning),
      ),
    );
    fill(this.list, lines);
  }

  /** `place` is {row} for a word that looks, {column} for one that is looked at; `mean` the weights shown. */
  show(layer, mean, place) {
    if (place.row !== undefined && place.column !== undefined) return this.showCell(layer, mean, place);
    const looks = place.row !== undefined;
    const word = looks ? layer.queries[place.row] : layer.keys[place.column];
    const others = looks ? layer.keys : layer.queries;
    const found = strongest(mean, layer.columns, layer.rows, place, SHOWN).filter(([, byte]) => byte > 0);
    const summary = found
      .slice(0, 3)
      .map(([index, byte]) => `${spoken(others[index])} ${percent(byte / 255)}`)
      .join(", ");
    fill(
      this.title,
      make("q", {}, spoken(word)),
      looks ? " looks at" : " is looked at by",
      make("span", { class: "unseen" }, `: ${summary || "nothing"}`),
    );
    fill(
      this.list,
      found.map(([index, byte]) => this.line(others[index], index, byte / 255, looks)),
    );
    if (!found.length)
      fill(this.list, make("li", { class: "hint" }, "Nothing: the heads chosen give it no weight."));
  }

  showCell(layer, mean, { row, column }) {
    const share = mean[row * layer.columns + column] / 255;
    this.show(layer, mean, { row });
    const cell = make(
      "li",
      { class: "hint" },
      make("q", {}, spoken(layer.keys[column])),
      ` gets ${percent(share)}`,
    );
    this.list.prepend(cell);
  }

  line(token, index, share, looks) {
    const bar = make("span", { class: "fill" });
    bar.style.setProperty("--share", share);
    const button = make(
      "button",
      { type: "button", class: "bar" },
      bar,
      make("span", { class: "name" }, visibleText(token)),
      make("span", { class: "number" }, percent(share)),
    );
    button.addEventListener("click", () => this.onChoose(looks ? { column: index } : { row: index }));
    return make("li", { data: { token } }, button);
  }
}
