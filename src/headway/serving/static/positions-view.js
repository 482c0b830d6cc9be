// How the model knows where a word stands: the encoding's waves, and how alike two places are.

import { emptyState, make } from "./dom.js";
import { HeatMap } from "./heat-map.js";
import { WavePlot } from "./wave-plot.js";
import { fetchJson } from "./source.js";
import { pngOf } from "./png.js";

const ABOUT = {
  sinusoidal:
    "Sines and cosines of growing wavelength (Paper §3.5): each row is a place, each column a dimension.",
  learned: "A vector learned for each place: each row is a place, each column a dimension.",
  rotary:
    "Queries and keys are turned by angles that grow with the place; below, how alike two places become.",
  alibi: "A penalty that grows with the distance, steeper in some heads than in others.",
  relative: "A learned bias for each distance and head.",
  none: "This model is told nothing about places: only its mask tells it what came before.",
};

export class PositionsView {
  constructor(page) {
    this.page = page;
    this.maps = [];
    this.titles = [];
  }

  async open() {
    const { model } = this.page;
    const answer = await fetchJson(`/positions?model=${encodeURIComponent(model.name)}`);
    const about = make("p", { class: "lead" }, ABOUT[answer.kind] ?? `Positions: ${answer.kind}`);
    const parts = [about, answer.note ? make("p", { class: "hint" }, answer.note) : null];
    const maps = [];
    if (answer.waves?.[0]?.length) maps.push(this.waves(answer));
    if (answer.products?.length && answer.kind !== "none")
      maps.push(
        this.matrix(
          "products",
          "Dot products",
          "How alike two places are: on the diagonal each place with itself.",
          answer.products,
          "place",
        ),
      );
    if (!maps.length)
      parts.push(emptyState("No picture", "There is nothing to draw for positions of this kind."));
    this.page.show(parts, this.plot?.element, make("div", { class: "pair" }, maps));
    this.maps.forEach((map) => map.surface.resize());
    this.page.offerPng(this.maps.length ? () => pngOf(this.pictures(), 2) : null);
  }

  waves(answer) {
    const byHead = answer.kind === "alibi" || answer.kind === "relative";
    const [rows, columns] = byHead ? ["distance", "head"] : ["place", "dimension"];
    this.plot = new WavePlot(answer.waves, columns, rows);
    return this.matrix(
      "waves",
      byHead ? "Bias by distance" : "Waves",
      "Blue is negative, orange positive.",
      answer.waves,
      rows,
      columns,
    );
  }

  /** A card with a matrix of numbers around zero. */
  matrix(id, title, hint, values, rowName, columnName = rowName) {
    const largest = Math.max(1e-9, ...values.map((row) => Math.max(...row.map(Math.abs))));
    const detail = make("p", { class: "hint", "aria-live": "polite" }, hint);
    const bytes = new Float32Array(values.length * values[0].length);
    values.forEach((row, at) =>
      row.forEach((value, index) => {
        bytes[at * row.length + index] = 127.5 * (1 + value / largest);
      }),
    );
    const map = new HeatMap({
      label: title,
      diverging: true,
      whole: true,
      valueOf: () => null,
      onChoose: (place) => {
        map.mark(place);
        detail.textContent = place
          ? [
              `${rowName} ${place.row}`,
              `${columnName} ${place.column}`,
              values[place.row][place.column].toFixed(3),
            ].join(" · ")
          : hint;
      },
    });
    map.element.id = id;
    map.show(
      values.map((_, index) => String(index)),
      values[0].map((_, index) => String(index)),
      bytes,
    );
    this.maps.push(map);
    this.titles.push(title);
    return make("section", { class: "card" }, make("h2", {}, title), detail, map.element);
  }

  pictures() {
    return this.maps.map((map, index) => map.surface.part(this.titles[index]));
  }

  recolour() {
    this.maps.forEach((map) => map.surface.redraw());
    this.plot?.redraw();
  }

  close() {
    this.maps.forEach((map) => map.close());
    this.plot?.close();
  }
}
