// A text goes on: what may come next, how the settings of sampling bend it, and the text as it grows.

import { emptyState, fill, make, percent, slider } from "./dom.js";
import { fetchJson, Latest, streamEvents } from "./source.js";
import { doubtLegend, showTokens, textBefore } from "./token-text.js";
import { inputField } from "./model-facts.js";
import { showBars } from "./bars.js";

const TYPING_PAUSE = 150;
const TOKENS = 60;
const MOST_BARS = 14;
const OTHERS = 8; // told for each token
const CUT_OFF = { top_k: 0, top_p: 1 };

export class CompleteView {
  constructor(page) {
    this.page = page;
    this.nexting = new Latest(TYPING_PAUSE);
    this.writing = new Latest(0);
    const number = (name, usual) => Number(page.params.get(name) ?? usual);
    this.settings = {
      temperature: number("temperature", 0.8),
      top_k: number("top_k", 0),
      top_p: number("top_p", 0.95),
    };
    this.given = "";
  }

  open() {
    const { page } = this;
    const input = inputField(page, "Beginning", "Write how it begins", () => this.typed());
    this.input = input.querySelector("textarea");
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.write();
    });
    this.start = make(
      "button",
      { type: "button", id: "continue", class: "strong", on: { click: () => this.write() } },
      "Go on",
    );
    this.stop = make(
      "button",
      { type: "button", id: "stop", hidden: true, on: { click: () => this.stopWriting() } },
      "Stop",
    );
    this.take = make(
      "button",
      { type: "button", class: "quiet", hidden: true, on: { click: () => this.takeOver() } },
      "Take it over",
    );
    this.output = make("div", {
      id: "output",
      class: "tokens",
      role: "region",
      "aria-label": "Output",
      tabindex: "-1",
    });
    fill(this.output, emptyState("Nothing yet", "Go on (Ctrl + Enter) writes what may follow."));
    this.list = make("ol", { id: "next", class: "bars" });
    this.legend = doubtLegend();
    this.legend.hidden = true;
    const left = make(
      "div",
      { class: "column" },
      input,
      make("div", { class: "row tight" }, this.start, this.stop, this.take),
      this.output,
      this.legend,
    );
    const right = make(
      "section",
      { class: "card" },
      make("h2", {}, "What may come next"),
      this.sliders(),
      this.list,
    );
    page.show(make("div", { class: "inputs two use" }, left, right));
    return this.ask(0).then(() => this.writeAgain());
  }

  /** What the address says was written here. */
  writeAgain() {
    const { params } = this.page;
    if (params.has("seed")) this.write(params.get("given") ?? "", Number(params.get("seed")));
  }

  typed() {
    this.forget();
    return this.ask(TYPING_PAUSE);
  }

  close() {
    this.nexting.cancel();
    this.writing.cancel();
  }

  sliders() {
    const { settings } = this;
    const set = (name) => (value) => {
      settings[name] = value;
      this.page.remember({ [name]: value });
      this.forget();
      this.ask(30);
    };
    return make(
      "div",
      { class: "sliders" },
      slider(
        "temperature",
        "Temperature",
        { min: 0.1, max: 2, step: 0.05 },
        settings.temperature,
        (value) => value.toFixed(2),
        set("temperature"),
      ),
      slider(
        "top_k",
        "Top-k",
        { min: 0, max: 50, step: 1 },
        settings.top_k,
        (value) => (value ? `the ${value} likeliest` : "all"),
        set("top_k"),
      ),
      slider(
        "top_p",
        "Top-p",
        { min: 0.05, max: 1, step: 0.01 },
        settings.top_p,
        (value) => (value === CUT_OFF.top_p ? "all" : percent(value)),
        set("top_p"),
      ),
    );
  }

  /** What may come next, now. */
  ask(pause) {
    const text = this.input.value;
    this.nexting.cancel();
    if (!text) {
      fill(this.list, make("li", { class: "hint" }, "Write a beginning first."));
      this.page.busy(false);
      return Promise.resolve();
    }
    const body = { model: this.page.model.name, text, ...this.settings };
    return new Promise((resolve) => {
      this.nexting.delay = pause;
      const fail = (error) => {
        this.page.fail(error);
        resolve();
      };
      this.nexting.run(async (signal) => {
        const { candidates } = await fetchJson("/api/next", body, signal);
        showBars(this.list, candidates.slice(0, MOST_BARS), (next) => this.append(next));
        this.page.fail(null);
        resolve();
      }, fail);
    });
  }

  append(text) {
    this.input.value += text;
    this.input.dispatchEvent(new Event("input"));
  }

  /** The chosen output becomes part of the beginning. */
  takeOver() {
    this.append(this.written);
    this.take.hidden = true;
    fill(this.output, emptyState("Taken over", "Go on writes what may follow now."));
    this.input.focus();
  }

  stopWriting() {
    this.writing.cancel();
    this.showWriting(false);
  }

  showWriting(is) {
    this.stop.hidden = !is;
    this.start.hidden = is;
    this.page.busy(is);
  }

  /** What was written belongs to another beginning or other settings. */
  forget() {
    this.page.remember({ seed: "", given: "" });
  }

  /** Write on, token by token, each with what else was possible. The same seed writes the same again. */
  write(given = "", seed = Math.floor(Math.random() * 1e9)) {
    const text = this.input.value + given;
    if (!text) return this.page.fail(new Error("Write a beginning first."));
    this.given = given;
    this.page.remember({ seed, given });
    const body = { model: this.page.model.name, text, ...this.settings, max_tokens: TOKENS, seed };
    const output = { tokens: [] };
    fill(this.output, given ? make("span", { class: "given" }, given) : null);
    this.legend.hidden = true;
    this.written = given;
    this.showWriting(true);
    const fail = (error) => {
      this.page.fail(error);
      this.showWriting(false);
    };
    const grow = (event) => {
      output.tokens.push(...event.tokens);
      this.written += event.text;
      this.legend.hidden = false;
      showTokens(this.output, output, given, (index, other) =>
        this.write(textBefore(output, index, given) + other),
      );
    };
    return this.writing.run(async (signal) => {
      await streamEvents("/api/stream", { ...body, candidates: OTHERS }, grow, signal);
      this.showWriting(false);
      this.take.hidden = false;
      this.page.say(`Written: ${this.written}`);
    }, fail);
  }
}
