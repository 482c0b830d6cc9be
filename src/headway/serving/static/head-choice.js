// Which heads are shown: a box for each, in its colour, and all at once.

import { make } from "./dom.js";

export class HeadChoice {
  constructor(count, onChange) {
    this.onChange = onChange;
    this.boxes = Array.from({ length: count }, (_, head) => {
      const box = make("input", {
        type: "checkbox",
        value: String(head + 1),
        "aria-label": `Head ${head + 1}`,
      });
      box.addEventListener("change", () => this.changed(head));
      return box;
    });
    this.swatches = this.boxes.map((box, head) => {
      const label = make(
        "label",
        { class: "head", title: `Head ${head + 1}; double-click: this one alone` },
        box,
        make("span", {}, String(head + 1)),
      );
      label.addEventListener("dblclick", () => this.choose([head]));
      return label;
    });
    const all = make(
      "button",
      { type: "button", class: "quiet", on: { click: () => this.choose(this.boxes.map((_, head) => head)) } },
      "All",
    );
    this.element = make(
      "fieldset",
      { id: "heads", class: "heads" },
      make("legend", {}, "Heads"),
      make("div", {}, this.swatches, all),
    );
  }

  /** Show which heads are chosen; the colours are those of the lines. */
  mark(heads) {
    this.boxes.forEach((box, head) => {
      box.checked = heads.includes(head);
      const colour = heads.length === 1 ? "var(--accent)" : `var(--head-${head % 8})`;
      this.swatches[head].style.setProperty("--colour", colour);
    });
  }

  changed(head) {
    const chosen = this.boxes.flatMap((box, index) => (box.checked ? [index] : []));
    this.choose(chosen.length ? chosen : [head]);
  }

  choose(heads) {
    this.mark(heads);
    this.onChange(heads);
  }
}
