// The search at work: beams that were kept, branches that were dropped, the output that won.

import { emptyState, fill, make, slider, visibleText } from "./dom.js";
import { canvasFont, fitted } from "./canvas-text.js";
import { Surface } from "./surface.js";
import { fetchJson, Latest } from "./source.js";
import { layOut, pathTo } from "./tree-layout.js";
import { inputField, inputName } from "./model-facts.js";
import { palette } from "./colour.js";

const TYPING_PAUSE = 450;
const STEP = 118;
const LINE = 27;
const LEFT = 14;
const TOP = 34;
const BOX = 100;

export class TreeView {
  constructor(page) {
    this.page = page;
    this.asking = new Latest(TYPING_PAUSE);
    this.nodes = [];
    this.chosen = null;
    this.beams = Math.min(16, Math.max(1, Number(page.params.get("beams")) || 4));
  }

  open() {
    const { page } = this;
    const input = inputField(
      page,
      page.model.has_source ? "Source" : "Beginning",
      "Write what the search starts from",
      () => this.ask(TYPING_PAUSE),
    );
    const beams = slider("beams", "Beams", { min: 1, max: 8, step: 1 }, this.beams, String, (value) => {
      this.beams = value;
      page.remember({ beams: value });
      this.ask(120);
    });
    this.surface = new Surface({
      label: "Search tree",
      sizeOf: () => this.size(),
      paint: (context, view) => this.paint(context, view),
      paintOver: (context, view) => this.paintOver(context, view),
      onPoint: (point, pressed) => this.point(point, pressed),
      onKey: (event) => this.move(event),
    });
    this.stage = make("div", { class: "stage" });
    this.finished = make("ol", { id: "finished", class: "outputs" });
    this.detail = make("p", { class: "hint", "aria-live": "polite" });
    const legend = make(
      "p",
      { class: "legend tree-legend" },
      make("span", { class: "sign best" }),
      " the best  ",
      make("span", { class: "sign kept" }),
      " kept  ",
      make("span", { class: "sign dropped" }),
      " dropped at its step",
    );
    const side = make("section", { class: "card" }, make("h2", {}, "Finished"), this.finished);
    page.show(
      make("div", { class: "inputs two narrow-right" }, input, beams),
      this.detail,
      this.stage,
      legend,
      side,
    );
    this.offer();
    return this.ask(0);
  }

  close() {
    this.asking.cancel();
    this.surface.close();
  }

  recolour() {
    this.surface.redraw();
  }

  offer() {
    this.page.offerPng(this.nodes.length ? () => this.surface.png() : null);
  }

  ask(pause) {
    const text = (this.page.params.get(inputName(this.page.model)) ?? "").trim();
    this.asking.cancel();
    if (!text) {
      fill(
        this.stage,
        emptyState("No search yet", "Write a text above: every step of its beam search appears here."),
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
        const body = { model: this.page.model.name, text, beams: this.beams };
        this.show((await fetchJson("/search-tree", body, signal)).nodes);
        this.page.busy(false);
        resolve();
      }, fail);
    });
  }

  show(nodes) {
    this.nodes = nodes.length ? layOut(nodes) : [];
    this.choose(this.nodes.findLast((node) => node.best) ?? this.nodes[0] ?? null);
    if (this.surface.element.parentElement !== this.stage) fill(this.stage, this.surface.element);
    this.surface.resize();
    this.offer();
    const done = this.nodes.filter((node) => node.finished).sort((one, other) => other.score - one.score);
    fill(
      this.finished,
      done.map((node) => this.finishedRow(node)),
    );
    if (!done.length) fill(this.finished, make("li", { class: "hint" }, "None came to an end."));
  }

  finishedRow(node) {
    const text = this.textOf(node);
    const button = make(
      "button",
      { type: "button", class: "output", on: { click: () => this.choose(node, true) } },
      make("span", {}, text || "(empty)"),
      make("span", { class: "number" }, node.score.toFixed(2)),
    );
    return make("li", {}, button);
  }

  textOf(node) {
    return pathTo(node)
      .map(({ text }) => (/^<.*>$/.test(text) ? "" : text))
      .join("")
      .replaceAll("▁", " ")
      .trim();
  }

  size() {
    const across = Math.max(0, ...this.nodes.map(({ x }) => x));
    const down = Math.max(0, ...this.nodes.map(({ y }) => y));
    return { width: LEFT + (across + 1) * STEP + 10, height: TOP + (down + 1) * LINE + 10 };
  }

  corner(node) {
    return [LEFT + node.x * STEP, TOP + node.y * LINE];
  }

  paint(context, view) {
    const { muted, card, line } = palette();
    for (const node of this.nodes) this.paintEdge(context, node, this.lookOf(node));
    for (const node of this.nodes) {
      const [x, y] = this.corner(node);
      if (
        x > view.left + view.width ||
        x + BOX < view.left ||
        y > view.top + view.height ||
        y + LINE < view.top
      )
        continue;
      this.paintNode(context, node, this.lookOf(node));
    }
    context.fillStyle = card;
    context.fillRect(view.left, view.top, view.width, TOP - 8);
    context.fillStyle = line;
    context.fillRect(view.left, view.top + TOP - 9, view.width, 1);
    context.fillStyle = muted;
    context.font = canvasFont(11);
    context.textAlign = "center";
    context.textBaseline = "middle";
    const steps = Math.max(0, ...this.nodes.map(({ x }) => x));
    for (let step = 1; step <= steps; step += 1)
      context.fillText(`step ${step}`, LEFT + step * STEP + BOX / 2, view.top + (TOP - 9) / 2);
  }

  lookOf(node) {
    const { accent, ink, muted, edge } = palette();
    if (node.best) return { stroke: accent, ink, width: 2.5, alpha: 1 };
    if (node.kept) return { stroke: muted, ink, width: 1.25, alpha: 1 };
    return { stroke: edge, ink: muted, width: 1, alpha: 0.7 };
  }

  paintEdge(context, node, look) {
    if (!node.parent) return;
    const [x, y] = this.corner(node);
    const [parentX, parentY] = this.corner(node.parent);
    const [startX, startY, endY] = [parentX + BOX, parentY + LINE / 2, y + LINE / 2];
    context.strokeStyle = look.stroke;
    context.lineWidth = look.width;
    context.globalAlpha = look.alpha;
    context.setLineDash(node.kept || node.best ? [] : [3, 3]);
    context.beginPath();
    context.moveTo(startX, startY);
    context.bezierCurveTo(startX + 10, startY, startX + 4, endY, x, endY);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  paintNode(context, node, look) {
    const { card } = palette();
    const [x, y] = this.corner(node);
    context.globalAlpha = look.alpha;
    context.fillStyle = card;
    context.strokeStyle = look.stroke;
    context.lineWidth = look.width;
    context.beginPath();
    context.roundRect(x, y + 3, BOX, LINE - 6, 5);
    context.fill();
    context.stroke();
    context.fillStyle = look.ink;
    context.font = canvasFont(12, node.best ? 600 : 400);
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.fillText(
      fitted(context, node.parent ? visibleText(node.text) : "start", BOX - 44),
      x + 7,
      y + LINE / 2,
    );
    context.font = canvasFont(10);
    context.textAlign = "right";
    if (node.parent) context.fillText(node.score.toFixed(2), x + BOX - 6, y + LINE / 2);
    context.globalAlpha = 1;
  }

  /** The way to the chosen node. */
  paintOver(context) {
    if (!this.chosen) return;
    const { warm, ink } = palette();
    const look = { stroke: warm, ink, width: 2.5, alpha: 1 };
    const path = pathTo(this.chosen);
    if (!this.chosen.best) path.forEach((node) => this.paintEdge(context, node, { ...look }));
    if (!this.chosen.best) path.forEach((node) => this.paintNode(context, node, look));
    const [x, y] = this.corner(this.chosen);
    context.strokeStyle = ink;
    context.lineWidth = 1.5;
    context.beginPath();
    context.roundRect(x - 3, y, BOX + 6, LINE, 7);
    context.stroke();
  }

  choose(node, reveal = false) {
    this.chosen = node;
    if (!node) return;
    const fate = [node.best ? "the best" : node.kept ? "kept" : "dropped", node.finished ? "finished" : ""]
      .filter(Boolean)
      .join(", ");
    fill(
      this.detail,
      make("q", {}, this.textOf(node) || "start"),
      ` · score ${node.score.toFixed(3)} · ${fate}`,
    );
    if (reveal) this.surface.reveal(...this.corner(node), STEP);
    this.surface.redrawOver();
  }

  point(point, pressed) {
    if (!point || !pressed) return;
    const hit = this.nodes.find((node) => {
      const [x, y] = this.corner(node);
      return point.x >= x && point.x <= x + BOX && point.y >= y && point.y <= y + LINE;
    });
    if (hit) this.choose(hit);
  }

  move(event) {
    const now = this.chosen;
    if (!now) return;
    const inStep = this.nodes.filter(({ x }) => x === now.x).sort((one, other) => one.y - other.y);
    const next = {
      ArrowLeft: now.parent,
      ArrowRight: now.children.toSorted((one, other) => one.y - other.y)[0],
      ArrowUp: inStep[inStep.indexOf(now) - 1],
      ArrowDown: inStep[inStep.indexOf(now) + 1],
    };
    if (!(event.key in next)) return;
    event.preventDefault();
    if (next[event.key]) this.choose(next[event.key], true);
    this.surface.describe(`Search tree: ${this.textOf(this.chosen) || "start"}`);
  }
}
