// Attention of one text: lines, heat map, or all heads at a glance; layer by layer as they are asked for.

import { checkbox, emptyState, fill, make, percent, segments, slider } from "./dom.js";
import { fetchJson, isSavedFile, Latest } from "./source.js";
import { HeadChoice } from "./head-choice.js";
import { HeadGrid } from "./head-grid.js";
import { HeadTable } from "./head-table.js";
import { HeatMap } from "./heat-map.js";
import { LayerWeights } from "./weights.js";
import { LineView } from "./line-view.js";
import { Readout } from "./readout.js";
import { stacksOf, textBody, textFields } from "./model-facts.js";

const TYPING_PAUSE = 450;
const STYLES = [
  ["lines", "Lines"],
  ["map", "Heat map"],
  ["grid", "All heads"],
];
const SAVED_AT_MOST = 8_000_000; // bytes of weights in a saved file
const LAYERS_KEPT = 16;
const LONG_TEXT = 80; // tokens

export class AttentionView {
  constructor(page) {
    this.page = page;
    this.asking = new Latest(0);
    this.typing = new Latest(TYPING_PAUSE);
    this.layers = new Map();
    this.held = null;
    this.readPlace();
    this.readout = new Readout((place) => this.point(place, true));
    this.table = new HeadTable((layer, head) => this.openHead(layer, head));
    this.headChoice = new HeadChoice(page.model.heads, (heads) => this.set({ heads }));
  }

  /** Where the address says we are. */
  readPlace() {
    const { params, model } = this.page;
    const stacks = stacksOf(model).map(([value]) => value);
    const asked = params.get("stack");
    const heads = (params.get("heads") ?? "all")
      .split(",")
      .map(Number)
      .filter((head) => head >= 1 && head <= model.heads);
    this.state = {
      stack: stacks.includes(asked) ? asked : stacks.at(-1),
      layer: Math.max(1, Number(params.get("layer")) || 1),
      heads: heads.length
        ? heads.map((head) => head - 1)
        : Array.from({ length: model.heads }, (_, head) => head),
      style: STYLES.some(([value]) => value === params.get("style")) ? params.get("style") : "lines",
      words: params.get("words") === "1",
      least: null, // null: what suits the length of the text
      bright: null,
      zoom: 1,
    };
    this.state.layer = Math.min(this.state.layer, this.depth());
  }

  depth() {
    const { model } = this.page;
    return this.state.stack === "encoder" ? model.encoder_layers : model.decoder_layers;
  }

  open() {
    this.tools = make("div", { class: "tools" });
    this.stage = make("div", { class: "stage" });
    this.side = make(
      "aside",
      { class: "side" },
      this.readout.element,
      make("section", { class: "card" }, make("h2", {}, "All heads, in numbers"), this.table.element),
    );
    const escape = (event) => {
      if (event.key === "Escape") this.point(null, true);
    };
    const split = make("div", { class: "split", on: { keydown: escape } }, this.stage, this.side);
    const inputs = textFields(this.page, () => this.typing.run(async () => this.restart(), this.page.fail));
    this.page.show(inputs, this.tools, split);
    this.renderTools();
    return this.restart();
  }

  close() {
    this.asking.cancel();
    this.typing.cancel();
    this.picture?.close();
  }

  recolour() {
    if (this.picture) this.showPicture();
  }

  /** Another text: nothing that was fetched holds any more. */
  restart() {
    this.layers.clear();
    this.summary = null;
    this.held = null;
    return this.load();
  }

  set(changes) {
    Object.assign(this.state, changes);
    this.state.layer = Math.min(this.state.layer, this.depth());
    const { stack, layer, heads, style, words } = this.state;
    const all = heads.length === this.page.model.heads;
    const list = all ? "all" : heads.map((head) => head + 1).join(",");
    this.page.remember({ stack, layer, heads: list, style, words: words ? "1" : "" });
    if ("stack" in changes || "layer" in changes || "words" in changes) this.held = null;
    if ("stack" in changes || "style" in changes) this.renderTools();
    this.load();
  }

  openHead(layer, head) {
    const style = this.state.style === "grid" ? "lines" : this.state.style;
    this.set({ layer: layer + 1, heads: [head], style });
    this.renderTools();
  }

  renderTools() {
    const { state, page } = this;
    const isGrid = state.style === "grid";
    const stacks = stacksOf(page.model);
    const style = segments("style", "View", STYLES, state.style, (value) => this.set({ style: value }));
    const stack =
      stacks.length > 1
        ? segments("stack", "Attention of", stacks, state.stack, (value) => this.set({ stack: value }))
        : null;
    const range = { min: 1, max: this.depth(), step: 1 };
    const layer = slider(
      "layer",
      "Layer",
      range,
      state.layer,
      (value) => `${value} of ${this.depth()}`,
      (value) => this.set({ layer: value }),
    );
    const first = make("div", { class: "row" }, stack, style, isGrid || this.depth() < 2 ? null : layer);
    this.headChoice.mark(state.heads);
    const second = isGrid ? null : make("div", { class: "row" }, this.headChoice.element, this.details());
    fill(this.tools, first, second);
  }

  /** Controls of the one style or the other. */
  details() {
    const { state } = this;
    const together = checkbox("words-together", "Join pieces into words", state.words, (words) =>
      this.set({ words }),
    );
    if (state.style === "lines") {
      const range = { min: 0, max: 40, step: 1 };
      const least = slider(
        "least",
        "Hide lines below",
        range,
        state.least ?? 5,
        (value) => `${value} %`,
        (value) => this.set({ least: value }),
      );
      return make("div", { class: "row tight" }, together, least);
    }
    const zoom = slider(
      "zoom",
      "Zoom",
      { min: 1, max: 12, step: 0.5 },
      state.zoom,
      (value) => `× ${value}`,
      (value) => {
        state.zoom = value;
        this.picture?.setZoom?.(value);
      },
    );
    const bright = checkbox("bright", "Brighten each row", state.bright ?? false, (value) =>
      this.set({ bright: value }),
    );
    return make("div", { class: "row tight" }, together, bright, zoom);
  }

  /** Fetch what the state needs and has not got, then show it. */
  load() {
    const body = textBody(this.page);
    if (!body) {
      this.replacePicture(null);
      this.side.hidden = true;
      fill(
        this.stage,
        emptyState("Nothing to look at yet", "Write a text above: its attention appears here."),
      );
      this.readout.clear();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const fail = (error) => {
        this.page.fail(error);
        resolve();
      };
      this.asking.run(async (signal) => {
        this.page.busy(true);
        this.side.hidden = false;
        if (this.state.style !== "grid")
          await this.layer(body, this.state.layer, signal).then(() => this.showPicture());
        this.summary ??= await fetchJson("/attention/summary", body, signal);
        if (this.state.style === "grid") this.showPicture();
        this.table.show(this.summarised());
        if (this.state.style === "grid") this.hoverHead(null);
        else this.table.mark(this.state.layer - 1, this.state.heads);
        this.page.busy(false);
        resolve();
      }, fail);
    });
  }

  async layer(body, layer, signal) {
    const { stack } = this.state;
    const key = `${stack} ${layer}`;
    if (!this.layers.has(key)) {
      const answer = await fetchJson("/attention", { ...body, stack, layer }, signal);
      const pieces = LayerWeights.fromAnswer(answer);
      this.layers.set(key, { pieces, words: null });
      if (this.layers.size > LAYERS_KEPT) this.layers.delete(this.layers.keys().next().value);
    }
    return this.layers.get(key);
  }

  /** The layers of the stack that is shown, in short. */
  summarised() {
    return this.summary.layers.filter(({ stack }) => stack === this.state.stack);
  }

  /** In a long text weights are thin: fainter lines are drawn then, and rows of the map brightened. */
  suitLength(layer) {
    const { state } = this;
    if (state.least !== null && state.bright !== null) return;
    state.least ??= layer.columns > LONG_TEXT ? 1 : 5;
    state.bright ??= layer.columns > LONG_TEXT;
    this.renderTools();
  }

  /** The layer that is shown, by tokens or by words. */
  shown() {
    const kept = this.layers.get(`${this.state.stack} ${this.state.layer}`);
    if (!kept) return null;
    if (this.state.words) kept.words ??= kept.pieces.byWords();
    return this.state.words ? kept.words : kept.pieces;
  }

  showPicture() {
    const { state } = this;
    if (this.picture?.style !== state.style || this.picture?.stack !== state.stack)
      this.replacePicture(state.style);
    if (state.style === "grid") return this.picture.show(this.summarised());
    const layer = this.shown();
    this.suitLength(layer);
    this.mean = layer.meanOf(state.heads);
    if (state.style === "lines")
      this.picture.show(layer, state.heads, this.mean, Math.round(2.55 * state.least));
    else
      this.picture.show(layer.queries, layer.keys, state.bright ? brightened(this.mean, layer) : this.mean);
    this.point(this.held, false);
    return undefined;
  }

  replacePicture(style) {
    this.picture?.close();
    this.picture = null;
    if (!style) return this.page.offerPng(null);
    const choose = (place, pressed) => this.point(place, pressed);
    const titles =
      this.state.stack === "memory" ? ["to write this…", "…it looks at"] : ["this…", "…looks at"];
    const name = stacksOf(this.page.model).find(([value]) => value === this.state.stack)[2];
    if (style === "lines")
      this.picture = new LineView({ label: `Lines of attention, ${name}`, titles, onChoose: choose });
    if (style === "map")
      this.picture = new HeatMap({
        label: `Heat map of attention, ${name}`,
        onChoose: choose,
        valueOf: (byte) => (this.state.bright ? null : valueText(byte)),
      });
    if (style === "grid")
      this.picture = new HeadGrid({
        label: `All heads, ${name}`,
        onChoose: (layer, head) => this.openHead(layer, head),
        onPoint: (place) => this.hoverHead(place),
      });
    Object.assign(this.picture, { style, stack: this.state.stack });
    fill(this.stage, this.picture.element);
    if (style === "map") this.picture.setZoom(this.state.zoom);
    return this.page.offerPng(() => this.picture.png());
  }

  hoverHead(place) {
    this.table.mark(place?.layer, [place?.head]);
    if (place) this.readout.showHead(place.layer, place.head, this.table.measuresOf(place.layer, place.head));
    else this.readout.clear(true);
  }

  /** A word is pointed at (`pressed`: and held, until another or Escape). */
  point(place, pressed) {
    const layer = this.shown();
    if (!layer || this.state.style === "grid") return;
    if (pressed) this.held = same(place, this.held) ? null : place;
    const now = place ?? this.held;
    this.picture.mark(now);
    if (now) this.readout.show(layer, this.mean, now);
    else this.readout.clear();
  }

  /**
   * Before saving to a file: have all layers of all stacks that fit, so that the file can be looked around
   * in.
   */
  async prepareToSave() {
    if (isSavedFile()) return;
    const body = textBody(this.page);
    const shown = this.shown();
    const before = this.state.stack;
    const sizeOfLayer = shown ? shown.heads * shown.rows * shown.columns : Infinity;
    const { encoder_layers: encoder, decoder_layers: decoder } = this.page.model;
    if (!body || sizeOfLayer * (encoder + 2 * decoder) > SAVED_AT_MOST) return;
    for (const [stack] of stacksOf(this.page.model)) {
      this.state.stack = stack;
      for (let layer = 1; layer <= this.depth(); layer += 1) await this.layer(body, layer);
    }
    this.state.stack = before;
  }
}

function same(one, other) {
  return one && other && one.row === other.row && one.column === other.column;
}

function valueText(byte) {
  const value = byte / 255;
  return value < 0.005 ? "" : percent(value).replace(" %", "");
}

/** Each row enlarged so that its largest weight is 1: shows where weight goes when it is spread thin. */
function brightened(matrix, layer) {
  const bright = new Float32Array(matrix.length);
  for (let row = 0; row < layer.rows; row += 1) {
    const start = row * layer.columns;
    const largest = Math.max(1e-6, ...matrix.subarray(start, start + layer.columns));
    for (let index = start; index < start + layer.columns; index += 1)
      bright[index] = (255 * matrix[index]) / largest;
  }
  return bright;
}
