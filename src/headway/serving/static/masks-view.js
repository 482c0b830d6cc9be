// What each place may see: padding, the future, other documents and distant words hidden.

import { emptyState, fill, make, segments, spoken, visibleText } from "./dom.js";
import { fetchJson, Latest } from "./source.js";
import { textBody, textFields } from "./model-facts.js";
import { bytesOf } from "./weights.js";
import { HeatMap } from "./heat-map.js";

const TYPING_PAUSE = 450;

export class MasksView {
  constructor(page) {
    this.page = page;
    this.asking = new Latest(TYPING_PAUSE);
    this.name = page.params.get("name");
  }

  open() {
    const inputs = textFields(this.page, () => this.ask(TYPING_PAUSE));
    this.tools = make("div", { class: "tools" });
    this.detail = make(
      "p",
      { class: "hint", "aria-live": "polite" },
      "Rows look, columns are looked at; deep = visible.",
    );
    this.map = new HeatMap({
      label: "Mask",
      onChoose: (place) => this.point(place),
      valueOf: () => null,
      whole: true,
    });
    this.stage = make("div", { class: "stage" });
    this.page.show(inputs, this.tools, this.detail, this.stage);
    return this.ask(0);
  }

  close() {
    this.asking.cancel();
    this.map.close();
  }

  recolour() {
    this.map.surface.redraw();
  }

  ask(pause) {
    const body = textBody(this.page);
    this.asking.cancel();
    if (!body) {
      fill(this.tools);
      fill(
        this.stage,
        emptyState("No mask yet", "Write a text above: what each of its tokens may see appears here."),
      );
      return Promise.resolve();
    }
    this.page.busy(true);
    return new Promise((resolve) => {
      this.asking.delay = pause;
      const fail = (error) => {
        this.page.fail(error);
        resolve();
      };
      this.asking.run(async (signal) => {
        this.views = (await fetchJson("/masks", body, signal)).views;
        const asked = this.views.find(({ name }) => name === this.name);
        const telling = this.views.find(({ visible }) => bytesOf(visible).includes(0));
        this.choose((asked ?? telling ?? this.views[0])?.name);
        this.page.busy(false);
        resolve();
      }, fail);
    });
  }

  choose(name) {
    this.name = name;
    this.page.remember({ name: name ?? "" });
    this.view = this.views.find((view) => view.name === name);
    if (!this.view) return fill(this.stage, emptyState("No mask", "This model hides nothing."));
    const names = this.views.map((view) => [view.name, view.name]);
    fill(
      this.tools,
      segments("mask-name", "Mask of", names, name, (value) => this.choose(value)),
    );
    if (this.map.element.parentElement !== this.stage) fill(this.stage, this.map.element);
    this.visible = bytesOf(this.view.visible);
    // Not the scale's end: the picture is calm, and nothing is read off its depth.
    const matrix = Float32Array.from(this.visible, (seen) => (seen ? 165 : 0));
    this.map.show(this.view.query_tokens, this.view.key_tokens, matrix);
    this.page.offerPng(() => this.map.png());
    return undefined;
  }

  point(place) {
    this.map.mark(place);
    if (!place) return;
    const { query_tokens: queries, key_tokens: keys } = this.view;
    const row = this.visible.subarray(place.row * keys.length, (place.row + 1) * keys.length);
    const count = row.reduce((sum, seen) => sum + (seen ? 1 : 0), 0);
    const sees = row[place.column] ? " sees " : " does not see ";
    fill(
      this.detail,
      make("q", {}, visibleText(queries[place.row])),
      sees,
      make("q", {}, visibleText(keys[place.column])),
      ` · it sees ${count} of ${keys.length}`,
    );
    this.map.surface.describe(`${spoken(queries[place.row])}${sees}${spoken(keys[place.column])}`);
  }
}
