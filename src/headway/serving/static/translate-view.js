// Text in, text out, as it is typed: the best outputs with their scores and doubts.

import { emptyState, fill, make } from "./dom.js";
import { fetchJson, Latest } from "./source.js";
import { inputField, inputName } from "./model-facts.js";
import { doubtLegend, showTokens, textBefore } from "./token-text.js";

const TYPING_PAUSE = 250;
const OUTPUTS = 4;

export class TranslateView {
  constructor(page) {
    this.page = page;
    this.asking = new Latest(TYPING_PAUSE);
    this.prefix = page.params.get("prefix") ?? "";
    this.chosen = 0;
  }

  open() {
    const input = inputField(this.page, "Source", "Write, and the model answers as you type", () =>
      this.typed(),
    );
    this.output = make("div", {
      id: "output",
      class: "tokens",
      role: "region",
      "aria-label": "Output",
      tabindex: "-1",
    });
    this.note = make("div", { class: "note" });
    this.others = make("ol", { id: "outputs", class: "outputs" });
    this.legend = doubtLegend();
    const right = make(
      "section",
      { class: "field" },
      make("h2", { class: "label" }, "Output"),
      this.output,
      this.note,
      this.legend,
    );
    this.more = make("section", { class: "card", hidden: true }, make("h2", {}, "Best outputs"), this.others);
    this.page.show(make("div", { class: "inputs two use" }, input, right), this.more);
    return this.ask(0);
  }

  close() {
    this.asking.cancel();
  }

  typed() {
    this.prefix = "";
    this.page.remember({ prefix: "" });
    this.ask(TYPING_PAUSE);
  }

  /**
   * Ask for outputs after a pause; resolves when they are shown. A newer question takes the place of this
   * one.
   */
  ask(pause) {
    const text = (this.page.params.get(inputName(this.page.model)) ?? "").trim();
    this.asking.cancel();
    if (!text) return this.showNothing();
    const body = { model: this.page.model.name, text, n_best: OUTPUTS, candidates: 8 };
    if (this.prefix) body.prefix = this.prefix;
    this.output.classList.add("stale");
    this.page.busy(true);
    return new Promise((resolve) => {
      this.asking.delay = pause;
      const done = (error) => {
        this.output.classList.remove("stale");
        this.page.busy(false);
        if (error) this.page.fail(error);
        resolve();
      };
      this.asking.run(async (signal) => {
        this.show((await fetchJson("/api/predict", body, signal)).outputs);
        this.page.fail(null);
        done();
      }, done);
    });
  }

  showNothing() {
    fill(this.output, emptyState("Nothing yet", "What the model makes of your text appears here."));
    fill(this.note);
    this.legend.hidden = true;
    this.more.hidden = true;
    this.page.busy(false);
  }

  show(outputs) {
    this.outputs = outputs;
    this.legend.hidden = false;
    this.choose(0);
    this.more.hidden = outputs.length < 2;
    this.page.say(`Output: ${outputs[0]?.text ?? ""}`);
  }

  choose(index) {
    this.chosen = index;
    const output = this.outputs[index];
    if (!output) return fill(this.output, emptyState("No output", "The model wrote nothing for this."));
    showTokens(this.output, output, this.prefix, (token, text) => this.goOn(token, text));
    fill(this.note, this.prefix ? this.freeButton() : null);
    const rows = this.outputs.map((each, place) => {
      const current = place === index ? "true" : null;
      const score = make(
        "span",
        { class: "number", title: "log-probability, by length" },
        each.score.toFixed(2),
      );
      const button = make(
        "button",
        { type: "button", class: "output", "aria-current": current, on: { click: () => this.choose(place) } },
        make("span", {}, each.text || "(empty)"),
        score,
      );
      return make("li", {}, button);
    });
    return fill(this.others, rows);
  }

  freeButton() {
    const free = () => {
      this.prefix = "";
      this.page.remember({ prefix: "" });
      this.ask(0);
    };
    const start = make("q", {}, this.prefix.trim());
    return make(
      "p",
      { class: "hint" },
      "Begins with ",
      start,
      " · ",
      make("button", { type: "button", class: "link", on: { click: free } }, "let the model begin"),
    );
  }

  /** Another token is chosen: what comes before it stays, the rest is written anew. */
  goOn(index, text) {
    this.prefix = textBefore(this.outputs[this.chosen], index, this.prefix) + text;
    this.page.remember({ prefix: this.prefix });
    this.ask(0).then(() => this.output.focus());
  }
}
