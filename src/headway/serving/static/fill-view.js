// Blanks and what may stand in them: a click on a word makes it one.

import { emptyState, fill, make, percent, unbroken, visibleText } from "./dom.js";
import { fetchJson, Latest } from "./source.js";
import { inputField } from "./model-facts.js";
import { showBars } from "./bars.js";

const TYPING_PAUSE = 250;
const CANDIDATES = 10;
const BLANK_SIGN = "___";
const PIECES = /<mask>|\[MASK\]|_{3,}|[\p{L}\p{M}\p{N}]+(?:['’-][\p{L}\p{M}\p{N}]+)*|\s+|./gu;
const IS_BLANK = /^(<mask>|\[MASK\]|_{3,})$/;
const IS_WORD = /[\p{L}\p{N}]/u;

export class FillView {
  constructor(page) {
    this.page = page;
    this.asking = new Latest(TYPING_PAUSE);
    this.hidden = new Map(); // what stood where a blank was clicked, by its place among the pieces
  }

  open() {
    const input = inputField(this.page, "Text", "Write a text, then click words to blank them", () =>
      this.typed(),
    );
    this.input = input.querySelector("textarea");
    this.words = make("div", {
      id: "words",
      class: "tokens",
      role: "group",
      "aria-label": "Words: click one to make it a blank",
    });
    this.output = make("div", {
      id: "output",
      class: "tokens",
      role: "region",
      "aria-label": "Output",
      tabindex: "-1",
    });
    this.blanks = make("div", { id: "blanks", class: "blanks" });
    const right = make(
      "div",
      { class: "column" },
      part("Words: click one to blank it", this.words),
      part("Filled in", this.output),
    );
    this.page.show(make("div", { class: "inputs two use" }, input, right), this.blanks);
    this.showWords();
    return this.ask(0);
  }

  close() {
    this.asking.cancel();
  }

  typed() {
    this.hidden.clear();
    this.showWords();
    this.ask(TYPING_PAUSE);
  }

  pieces() {
    return this.input.value.match(PIECES) ?? [];
  }

  showWords() {
    let before = "";
    const parts = this.pieces().flatMap((piece, index) => {
      if (!piece.trim()) {
        before += piece;
        return [];
      }
      const part = { before, element: this.wordButton(piece, index), length: piece.length };
      before = "";
      return [part];
    });
    fill(
      this.words,
      parts.length ? unbroken(parts) : make("span", { class: "hint" }, "The words of your text appear here."),
    );
  }

  /** A word or blank that can be clicked; signs cannot. */
  wordButton(piece, index) {
    const blank = IS_BLANK.test(piece);
    if (!blank && !IS_WORD.test(piece)) return piece;
    const label = blank ? `blank${this.hidden.has(index) ? `, was ${this.hidden.get(index)}` : ""}` : piece;
    const shown = blank
      ? make("span", { class: "gap-sign", "aria-hidden": "true" }, this.hidden.get(index) ?? "    ")
      : piece;
    return make(
      "button",
      {
        type: "button",
        class: "word",
        "aria-pressed": String(blank),
        "aria-label": label,
        data: { index },
        on: { click: () => this.toggle(index) },
      },
      shown,
    );
  }

  /** A word becomes a blank, a blank the word that it was. */
  toggle(index) {
    const pieces = this.pieces();
    if (IS_BLANK.test(pieces[index])) {
      pieces[index] = this.hidden.get(index) ?? "";
      this.hidden.delete(index);
    } else {
      this.hidden.set(index, pieces[index]);
      pieces[index] = BLANK_SIGN;
    }
    this.write(pieces);
    this.words.querySelector(`[data-index="${index}"]`)?.focus();
  }

  write(pieces) {
    this.input.value = pieces.join("");
    this.page.remember({ text: this.input.value });
    this.showWords();
    this.ask(0);
  }

  ask(pause) {
    const text = this.input.value;
    this.asking.cancel();
    if (!this.pieces().some((piece) => IS_BLANK.test(piece))) return this.showNothing(text);
    this.page.busy(true);
    this.output.classList.add("stale");
    return new Promise((resolve) => {
      this.asking.delay = pause;
      const done = (error) => {
        this.output.classList.remove("stale");
        this.page.busy(false);
        if (error) this.page.fail(error);
        resolve();
      };
      const body = { model: this.page.model.name, text, candidates: CANDIDATES };
      this.asking.run(async (signal) => {
        this.show(await fetchJson("/api/predict", body, signal));
        this.page.fail(null);
        done();
      }, done);
    });
  }

  showNothing(text) {
    fill(this.output, make("span", { class: "hint" }, text ? "No blank yet." : "Nothing yet."));
    const hint = text ? "Click a word above: the model says what might stand there." : "Write a text first.";
    fill(this.blanks, emptyState("No blanks", hint));
    this.page.busy(false);
  }

  show({ outputs, blanks }) {
    const texts = this.pieces();
    let number = 0;
    const filled = texts.map((piece) => {
      if (!IS_BLANK.test(piece)) return piece;
      const best = blanks[number]?.[0];
      number += 1;
      if (!best) return piece;
      const mark = make(
        "mark",
        { class: "token", title: percent(best.probability) },
        visibleText(best.text.trim()),
      );
      mark.style.setProperty("--doubt", 1 - best.probability);
      return mark;
    });
    fill(this.output, filled);
    fill(
      this.blanks,
      blanks.map((candidates, index) => this.card(candidates, index)),
    );
    this.page.say(`Filled: ${outputs?.[0]?.text ?? this.output.textContent}`);
  }

  card(candidates, index) {
    const list = make("ol", { class: "bars" });
    showBars(list, candidates, (text) => this.choose(index, text));
    return make("section", { class: "card" }, make("h2", {}, `Blank ${index + 1}`), list);
  }

  /** A candidate takes the place of its blank in the text. */
  choose(blank, text) {
    let number = -1;
    const pieces = this.pieces().map((piece) => {
      if (IS_BLANK.test(piece)) number += 1;
      return IS_BLANK.test(piece) && number === blank ? text.trim() : piece;
    });
    this.hidden.clear();
    this.write(pieces);
  }
}

function part(title, content) {
  return make("section", { class: "field" }, make("h2", { class: "label" }, title), content);
}
