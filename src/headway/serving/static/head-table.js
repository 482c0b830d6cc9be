// What every head does, in four numbers, so that the interesting ones are found by sorting.

import { fill, make, percent } from "./dom.js";

const MEASURES = [
  [
    "entropy",
    "Entropy",
    "How spread its looks are, in bits: low = it looks at few words",
    (value) => value.toFixed(2),
  ],
  ["distance", "Distance", "How far away it looks on average, in tokens", (value) => value.toFixed(1)],
  ["previous", "Previous", "How much it looks at the token just before", percent],
  ["diagonal", "Diagonal", "How much it looks at the place of the same order", percent],
];

/** A table of all heads of all layers; `onChoose(layer, head)`, from 0, hears which row is opened. */
export class HeadTable {
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.sorted = { by: null, down: true };
    this.rows = [];
    this.chosen = { layer: -1, heads: [] };
    this.element = make("div", {
      class: "table-scroll",
      tabindex: "0",
      role: "region",
      "aria-label": "Heads and what they do",
    });
  }

  show(layers) {
    this.rows = layers.flatMap(({ summaries }, layer) =>
      summaries.map((summary, head) => ({ layer, head, summary })),
    );
    const values = (key) =>
      this.rows.map((row) => row.summary[key]).filter((value) => typeof value === "number");
    this.present = MEASURES.filter(([key]) => values(key).length);
    this.largest = Object.fromEntries(this.present.map(([key]) => [key, Math.max(1e-9, ...values(key))]));
    this.render();
  }

  /** Mark the heads that the picture shows. */
  mark(layer, heads) {
    this.chosen = { layer, heads };
    for (const row of this.element.querySelectorAll("tr[data-head]")) {
      const [ofLayer, head] = row.dataset.head.split(".").map(Number);
      row.classList.toggle("chosen", ofLayer - 1 === layer && heads.includes(head - 1));
    }
  }

  /** The measures of a head, as [name, value as text, meaning]. */
  measuresOf(layer, head) {
    const row = this.rows.find((each) => each.layer === layer && each.head === head);
    if (!row) return [];
    return this.present
      .filter(([key]) => typeof row.summary[key] === "number")
      .map(([key, name, meaning, show]) => [name, show(row.summary[key]), meaning]);
  }

  sortBy(key) {
    this.sorted = { by: key, down: this.sorted.by === key ? !this.sorted.down : key !== "entropy" };
    this.render();
    this.element.querySelector(`[data-sort="${key}"]`).focus();
  }

  render() {
    const { by, down } = this.sorted;
    const rows = [...this.rows];
    if (by)
      rows.sort((one, other) => ((one.summary[by] ?? -1) - (other.summary[by] ?? -1)) * (down ? -1 : 1));
    const heads = this.present.map(([key, name, meaning]) => {
      const direction = by === key ? (down ? "descending" : "ascending") : "none";
      const arrow = by === key ? (down ? " ↓" : " ↑") : "";
      const button = make(
        "button",
        { type: "button", title: meaning, data: { sort: key }, on: { click: () => this.sortBy(key) } },
        name + arrow,
      );
      return make("th", { scope: "col", "aria-sort": direction }, button);
    });
    const table = make(
      "table",
      { id: "summaries" },
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Head"), heads)),
      make(
        "tbody",
        {},
        rows.map((row) => this.row(row)),
      ),
    );
    fill(this.element, table);
    this.mark(this.chosen.layer, this.chosen.heads);
  }

  row({ layer, head, summary }) {
    const name = `${layer + 1}.${head + 1}`;
    const open = make(
      "button",
      { type: "button", class: "link", "aria-label": `Layer ${layer + 1}, head ${head + 1}` },
      name,
    );
    const cells = this.present.map(([key, , , show]) => {
      const value = summary[key];
      if (typeof value !== "number") return make("td", {}, "–");
      const bar = make("span", { class: "cell-bar" });
      bar.style.setProperty("--share", value / this.largest[key]);
      return make("td", {}, bar, make("span", {}, show(value)));
    });
    const row = make("tr", { data: { head: name } }, make("th", { scope: "row" }, open), cells);
    row.addEventListener("click", () => this.onChoose(layer, head));
    return row;
  }
}
