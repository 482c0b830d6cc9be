// The output head read after each layer: when the model makes up its mind.

import { emptyState, fill, make, percent, visibleText } from "./dom.js";
import { fetchJson, Latest } from "./source.js";
import { isDeep, palette, shade } from "./colour.js";
import { showBars } from "./bars.js";
import { guessesPart } from "./guesses-picture.js";
import { pngOf } from "./png.js";
import { textBody, textFields } from "./model-facts.js";

const TYPING_PAUSE = 450;
const MOST_COLUMNS = 200;

export class GuessesView {
  constructor(page) {
    this.page = page;
    this.asking = new Latest(TYPING_PAUSE);
    this.chosen = null;
  }

  open() {
    const inputs = textFields(this.page, () => this.ask(TYPING_PAUSE));
    this.stage = make("div", { class: "stage" });
    this.title = make("h2", { "aria-live": "polite" }, "Point at a guess");
    this.list = make("ol", { class: "bars" });
    const side = make("aside", { class: "side" }, make("section", { class: "card" }, this.title, this.list));
    this.about = make("p", { class: "hint" });
    this.page.show(inputs, this.about, make("div", { class: "split" }, this.stage, side));
    return this.ask(0);
  }

  close() {
    this.asking.cancel();
  }

  recolour() {
    if (this.answer) this.show(this.answer);
  }

  ask(pause) {
    const body = textBody(this.page);
    this.asking.cancel();
    if (!body) {
      fill(this.stage, emptyState("No guesses yet", "Write a text above."));
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
        this.show(await fetchJson("/guesses", body, signal));
        this.page.busy(false);
        resolve();
      }, fail);
    });
  }

  show(answer) {
    this.answer = answer;
    const what =
      answer.predicts_next === false ? "what it takes each token for" : "what it thinks comes next";
    this.about.textContent = `Each row asks the model after one layer ${what}; the deeper, the surer it is.`;
    const { layers } = answer;
    const tokens = answer.tokens.slice(0, MOST_COLUMNS);
    const corner = make("th", { scope: "col" }, "reads");
    const heads = tokens.map((token) => make("th", { scope: "col" }, visibleText(token)));
    const rows = layers.map((positions, layer) => {
      const cells = tokens.map((_, index) => this.cell(positions[index] ?? [], layer, index));
      return make("tr", {}, make("th", { scope: "row" }, `after layer ${layer + 1}`), cells);
    });
    // The last layer stands on top, as in the paper's Figure 1: text goes in below and comes out above.
    const table = make(
      "table",
      { id: "guesses" },
      make("tbody", {}, rows.reverse()),
      make("tfoot", {}, make("tr", {}, corner, heads)),
    );
    const scroller = make(
      "div",
      {
        class: "table-scroll guesses",
        tabindex: "0",
        role: "region",
        "aria-label": "Guesses by layer and place",
      },
      table,
    );
    const more =
      answer.tokens.length > MOST_COLUMNS
        ? make("p", { class: "hint" }, `The first ${MOST_COLUMNS} of ${answer.tokens.length} tokens.`)
        : null;
    fill(this.stage, scroller, more);
    this.page.offerPng(() => pngOf([guessesPart(tokens, layers)]));
    this.choose(layers.length - 1, Math.min(1, tokens.length - 1));
  }

  cell(guesses, layer, index) {
    const best = guesses[0];
    if (!best) return make("td", {});
    const { scale } = palette();
    const byte = 230 * best.probability;
    const choose = () => this.choose(layer, index);
    const button = make(
      "button",
      {
        type: "button",
        "aria-label": `${visibleText(best.text)}, ${percent(best.probability)}`,
        data: { place: `${layer}.${index}` },
        on: { click: choose, pointerenter: choose, focus: choose },
      },
      visibleText(best.text),
    );
    button.style.background = shade(scale, byte);
    button.style.color = isDeep(scale, byte) ? "#ffffff" : "#14171c";
    return make("td", {}, button);
  }

  choose(layer, index) {
    const guesses = this.answer.layers[layer]?.[index];
    if (!guesses) return;
    this.stage.querySelector(".chosen")?.classList.remove("chosen");
    this.stage.querySelector(`[data-place="${layer}.${index}"]`)?.classList.add("chosen");
    fill(
      this.title,
      "After layer ",
      String(layer + 1),
      ", at ",
      make("q", {}, visibleText(this.answer.tokens[index])),
    );
    showBars(this.list, guesses, null, guesses[0]?.text);
  }
}
