// A run as it learns: loss, rate, gradient, validation and samples, read anew every few seconds.

import { Chart, shortNumber } from "./chart.js";
import { emptyState, fill, make } from "./dom.js";
import { fetchJson, isSavedFile } from "./source.js";
import { pngOf } from "./png.js";

const SECONDS_BETWEEN = 2;
const MOST_LINES = 5000; // of one answer
const SMOOTHED_SHARE = 0.03; // of the curve: what the average remembers
const STATES = { running: "running", finished: "finished", stopped: "stopped" };

export class TrainingView {
  constructor(page) {
    this.page = page;
    const asked = page.params.get("run");
    this.run = page.runs.includes(asked) ? asked : page.runs[0];
    this.stopped = new AbortController();
  }

  async open() {
    const choice = make(
      "select",
      { id: "run-choice" },
      this.page.runs.map((name) => make("option", { value: name }, name)),
    );
    choice.value = this.run;
    choice.addEventListener("change", () => this.follow(choice.value));
    this.state = make("span", { id: "state", class: "badge" }, "…");
    this.facts = make("dl", { class: "facts" });
    const onPoint = (at) => this.charts.forEach((chart) => chart.readAt(at));
    this.loss = new Chart({ title: "Loss", onPoint });
    this.rate = new Chart({ title: "Learning rate", onPoint });
    this.norm = new Chart({ title: "Gradient norm", logarithmic: true, onPoint });
    this.speed = new Chart({ title: "Tokens a second", onPoint });
    this.charts = [this.loss, this.norm, this.rate, this.speed];
    const charts = make(
      "div",
      { id: "charts", class: "charts" },
      this.charts.map(({ element }) => element),
    );
    this.validations = make("section", { class: "card" });
    this.samples = make("section", { id: "samples", class: "card" });
    const head = make(
      "div",
      { class: "row run" },
      make("label", {}, make("span", { class: "unseen" }, "Run"), choice),
      this.state,
      this.facts,
    );
    this.page.show(head, charts, this.samples, this.validations);
    this.page.offerPng(() => pngOf(this.charts.map((chart) => chart.part()), 2));
    await this.follow(this.run);
  }

  /** Start over with a run. */
  async follow(run) {
    this.run = run;
    this.page.remember({ run });
    this.stopped.abort();
    this.stopped = new AbortController();
    Object.assign(this, { lines: [], chosenStep: null });
    await this.update(this.stopped.signal);
  }

  async update(signal) {
    let answer;
    do {
      answer = await fetchJson(
        `/api/runs/${encodeURIComponent(this.run)}?after=${this.lines.length}`,
        undefined,
        signal,
      );
      if (answer.lines < this.lines.length) this.lines = []; // it was resumed from an earlier step
      this.lines.push(...answer.metrics);
    } while (answer.metrics.length >= MOST_LINES);
    this.show(answer);
    if (answer.state === "running" && !isSavedFile())
      setTimeout(() => this.again(signal), SECONDS_BETWEEN * 1000);
  }

  async again(signal) {
    if (signal.aborted) return;
    try {
      if (!document.hidden) await this.update(signal);
      else setTimeout(() => this.again(signal), SECONDS_BETWEEN * 1000);
      this.page.fail(null);
    } catch (error) {
      if (signal.aborted) return;
      this.page.fail(error);
      setTimeout(() => this.again(signal), 5 * SECONDS_BETWEEN * 1000);
    }
  }

  show({ state, samples, clip }) {
    this.state.textContent = STATES[state] ?? state;
    this.state.dataset.state = state;
    const steps = this.lines.filter(({ loss }) => typeof loss === "number");
    const tested = this.lines.filter(({ validation }) => validation);
    const of = (key) =>
      steps.filter((line) => typeof line[key] === "number").map((line) => [line.step, line[key]]);
    const raw = of("loss");
    this.loss.set([
      { name: "each", colour: "accent", points: raw, faint: true },
      { name: "training", colour: "accent", points: smoothed(raw) },
      {
        name: "held-out",
        colour: "warm",
        points: tested
          .filter(({ validation }) => typeof validation.loss === "number")
          .map((line) => [line.step, line.validation.loss]),
        dots: true,
      },
    ]);
    this.rate.set([{ name: "rate", colour: "accent", points: of("rate") }]);
    this.norm.set(
      [{ name: "norm", colour: "accent", points: of("gradient_norm").filter(([, y]) => y > 0) }],
      clip ? [{ name: `clipped at ${shortNumber(clip)}`, y: clip }] : [],
    );
    this.speed.set([{ name: "tokens/s", colour: "accent", points: of("tokens_per_second") }]);
    this.showFacts(steps.at(-1), tested);
    this.showValidations(tested);
    this.showSamples(samples ?? []);
  }

  showFacts(last, tested) {
    const facts = last
      ? [
          ["Step", last.step.toLocaleString("en")],
          ["Epoch", last.epoch?.toFixed(2)],
          ["Loss", last.loss.toFixed(3)],
          ["Tokens", shortNumber(last.tokens ?? 0)],
          ["Time", clock(last.seconds ?? 0)],
        ]
      : [["Step", "none yet"]];
    const best = tested.filter(({ better }) => better).at(-1);
    if (best)
      facts.push([
        "Best held-out",
        `${best.validation.loss?.toFixed(3) ?? "–"} at ${best.step.toLocaleString("en")}`,
      ]);
    fill(
      this.facts,
      facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value ?? "–"))),
    );
  }

  showValidations(tested) {
    const title = make("h2", {}, "Held-out");
    if (!tested.length) return fill(this.validations, title, make("p", { class: "hint" }, "Not judged yet."));
    const names = [...new Set(tested.flatMap(({ validation }) => Object.keys(validation)))];
    const head = make(
      "tr",
      {},
      ["step", ...names].map((name) => make("th", { scope: "col" }, name)),
    );
    const rows = tested.toReversed().map((line) => {
      const cells = names.map((name) =>
        make(
          "td",
          {},
          typeof line.validation[name] === "number" ? line.validation[name].toPrecision(4) : "–",
        ),
      );
      const step = make(
        "th",
        { scope: "row" },
        line.step.toLocaleString("en"),
        line.better ? make("span", { title: "best so far" }, " ●") : null,
      );
      return make("tr", { class: line.better ? "better" : null }, step, cells);
    });
    const table = make("table", { class: "plain" }, make("thead", {}, head), make("tbody", {}, rows));
    return fill(
      this.validations,
      title,
      make(
        "div",
        { class: "table-scroll low", tabindex: "0", role: "region", "aria-label": "Held-out measures" },
        table,
      ),
    );
  }

  showSamples(samples) {
    const title = make("h2", {}, "Samples");
    const steps = [...new Set(samples.map(({ step }) => step))];
    if (!steps.length)
      return fill(this.samples, title, emptyState("No samples yet", "They come with the first validation."));
    const step = steps.includes(this.chosenStep) ? this.chosenStep : steps.at(-1);
    const choice = make(
      "select",
      { id: "sample-step", "aria-label": "Samples of step" },
      steps.toReversed().map((each) => make("option", { value: each }, `step ${each.toLocaleString("en")}`)),
    );
    choice.value = step;
    choice.addEventListener("change", () => {
      this.chosenStep = Number(choice.value);
      this.showSamples(samples);
      this.samples.querySelector("select").focus();
    });
    const parts = samples.filter((sample) => sample.step === step).map(sampleCard);
    return fill(
      this.samples,
      make("div", { class: "row" }, title, choice),
      make("div", { class: "samples" }, parts),
    );
  }

  /** Before saving to a file: have all that is known of the run in answers that begin at its start. */
  async prepareToSave() {
    this.stopped.abort();
    this.stopped = new AbortController();
    this.lines = [];
    await this.update(this.stopped.signal);
  }

  recolour() {
    this.charts.forEach((chart) => chart.redraw());
  }

  close() {
    this.stopped.abort();
    this.charts?.forEach((chart) => chart.close());
  }
}

function sampleCard({ source, prediction, reference }) {
  const lines = [
    ["source", source],
    ["model", prediction],
    ["reference", reference],
  ].filter(([, text]) => text);
  return make(
    "dl",
    { class: "sample" },
    lines.map(([name, text]) => make("div", { class: name }, make("dt", {}, name), make("dd", {}, text))),
  );
}

/** An average that follows slowly, right from the start. */
function smoothed(points) {
  const keep = 1 - 1 / Math.max(3, SMOOTHED_SHARE * points.length);
  let sum = 0;
  let weight = 0;
  return points.map(([x, y]) => {
    sum = keep * sum + (1 - keep) * y;
    weight = keep * weight + (1 - keep);
    return [x, sum / weight];
  });
}

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  const rest = String(Math.floor(seconds % 60)).padStart(2, "0");
  return minutes < 60
    ? `${minutes}:${rest}`
    : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}
