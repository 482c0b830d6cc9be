// The paper's picture of attention (Figures 3 to 5): two columns of words, a line for each weight.

import { headColour, isDeep, palette, shade } from "./colour.js";
import { canvasFont, fitted } from "./canvas-text.js";
import { Surface } from "./surface.js";
import { spoken, visibleText } from "./dom.js";

const ROW = 24;
const TOP = 34;
const STRENGTHS = 6; // lines of like weight are stroked together: thousands cost a few strokes
const WIDEST_COLUMN = 260;
const MOST_LINES = 60; // of one word and head

/**
 * Words on the left look, words on the right are looked at. `onChoose({row} | {column} | null, pressed)`
 * hears what is pointed at. Of several heads each has its colour; of one alone, or of their mean, the
 * accent.
 */
export class LineView {
  constructor({ label, titles, onChoose }) {
    Object.assign(this, {
      titles,
      onChoose,
      place: null,
      lines: [],
      layer: null,
      mean: null,
      widestWord: 60,
    });
    this.surface = new Surface({
      label,
      sizeOf: (width) => this.sizeOf(width),
      paint: (context, view) => this.paint(context, view),
      paintOver: (context, view) => this.paintOver(context, view),
      onPoint: (point, pressed) => this.onChoose(point ? this.at(point) : null, pressed),
      onKey: (event) => this.move(event),
    });
    this.element = this.surface.element;
  }

  /** `least`: the smallest weight (a byte) that is drawn before a word is chosen. */
  show(layer, heads, mean, least) {
    Object.assign(this, { layer, heads, mean });
    this.lines = heads.map((head) => ({
      colour: heads.length === 1 ? palette().accent : headColour(head),
      lines: layer.linesOf(head, Math.max(1, least)),
    }));
    this.widestWord = this.widest([...this.titles, ...layer.queries, ...layer.keys]);
    this.surface.resize();
  }

  /** The width of the longest of these words, as drawn. */
  widest(words) {
    const context = this.surface.base.getContext("2d");
    context.font = canvasFont(14);
    return words.reduce((widest, word) => Math.max(widest, context.measureText(visibleText(word)).width), 60);
  }

  sizeOf(width) {
    const rows = this.layer ? Math.max(this.layer.rows, this.layer.columns) : 0;
    const columnWidth = Math.min(WIDEST_COLUMN, width * 0.36, this.widestWord + 30);
    this.left = columnWidth;
    this.right = width - columnWidth;
    return { width, height: TOP + rows * ROW + 8 };
  }

  at({ x, y }) {
    const index = Math.floor((y - TOP) / ROW);
    if (!this.layer || index < 0) return null;
    const middle = (this.left + this.right) / 2;
    if (x < middle) return index < this.layer.rows ? { row: index } : null;
    return index < this.layer.columns ? { column: index } : null;
  }

  mark(place) {
    this.place = place;
    this.surface.base.style.opacity = place ? "0.12" : "1";
    this.surface.redrawOver();
  }

  move(event) {
    const { layer } = this;
    if (!layer) return;
    const onLeft = this.place?.column === undefined;
    const count = onLeft ? layer.rows : layer.columns;
    const now = (onLeft ? this.place?.row : this.place?.column) ?? -1;
    const next = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: count - 1 }[event.key];
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const toLeft = event.key === "ArrowLeft";
      const index = Math.min(Math.max(now, 0), (toLeft ? layer.rows : layer.columns) - 1);
      this.choose(toLeft ? { row: index } : { column: index }, event);
    } else if (next !== undefined) {
      const index = Math.min(Math.max(next, 0), count - 1);
      this.choose(onLeft ? { row: index } : { column: index }, event);
    }
  }

  choose(place, event) {
    event.preventDefault();
    this.onChoose(place, true);
    this.surface.reveal(0, TOP + (place.row ?? place.column) * ROW, 2 * ROW);
    const word = place.row !== undefined ? this.layer.queries[place.row] : this.layer.keys[place.column];
    this.surface.describe(`${spoken(word)}, ${place.row !== undefined ? this.titles[0] : this.titles[1]}`);
  }

  paint(context, view) {
    if (!this.layer) return;
    const { ink } = palette();
    this.lines.forEach(({ colour, lines }) => this.strokeLines(context, view, lines, colour));
    this.paintWords(context, view, this.layer.queries, "right", this.left - 12, () => ink);
    this.paintWords(context, view, this.layer.keys, "left", this.right + 12, () => ink);
    this.paintTitles(context, view);
  }

  paintTitles(context, view) {
    const { muted, card, line } = palette();
    context.fillStyle = card;
    context.fillRect(view.left, view.top, view.width, TOP - 4);
    context.fillStyle = line;
    context.fillRect(view.left, view.top + TOP - 5, view.width, 1);
    context.fillStyle = muted;
    context.font = canvasFont(12, 550);
    context.textBaseline = "middle";
    context.textAlign = "right";
    context.fillText(this.titles[0], this.left - 12, view.top + TOP / 2 - 2);
    context.textAlign = "left";
    context.fillText(this.titles[1], this.right + 12, view.top + TOP / 2 - 2);
  }

  /** Strokes lines of which a part is in sight, the weak ones first. */
  strokeLines(context, view, lines, colour) {
    const [top, bottom] = [view.top - ROW, view.top + view.height + ROW];
    context.strokeStyle = colour;
    context.lineCap = "round";
    for (let strength = 0; strength < STRENGTHS; strength += 1) {
      context.globalAlpha = 0.1 + (0.75 * (strength + 0.5)) / STRENGTHS;
      context.lineWidth = 0.8 + (3.2 * strength) / STRENGTHS;
      context.beginPath();
      for (let at = 0; at < lines.length; at += 3) {
        if (Math.min(STRENGTHS - 1, Math.floor((lines[at + 2] * STRENGTHS) / 256)) !== strength) continue;
        const y1 = TOP + (lines[at] + 0.5) * ROW;
        const y2 = TOP + (lines[at + 1] + 0.5) * ROW;
        if (Math.max(y1, y2) < top || Math.min(y1, y2) > bottom) continue;
        context.moveTo(this.left, y1);
        context.lineTo(this.right, y2);
      }
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  paintWords(context, view, words, align, x, colourOf) {
    context.font = canvasFont(14);
    context.textAlign = align;
    context.textBaseline = "middle";
    const first = Math.max(0, Math.floor((view.top - TOP) / ROW));
    const last = Math.min(words.length - 1, Math.ceil((view.top + view.height - TOP) / ROW));
    for (let index = first; index <= last; index += 1) {
      context.fillStyle = colourOf(index);
      context.fillText(
        fitted(context, visibleText(words[index]), this.left - 20),
        x,
        TOP + (index + 0.5) * ROW,
      );
    }
  }

  /** The chosen word's own lines, and behind the words at their other end how much they get. */
  paintOver(context, view) {
    const { place, layer } = this;
    if (!place || !layer) return;
    const { scale, ink } = palette();
    const onLeft = place.row !== undefined;
    const others = onLeft ? layer.keys : layer.queries;
    const meanAt = (index) =>
      onLeft ? this.mean[place.row * layer.columns + index] : this.mean[index * layer.columns + place.column];
    const largest = others.reduce((most, _, index) => Math.max(most, meanAt(index)), 1);
    const weightOf = (index) => (255 * meanAt(index)) / largest;
    for (const { head, colour } of this.shownHeads()) {
      this.strokeLines(context, view, this.linesOfPlace(head, place), colour);
    }
    const x = onLeft ? this.right : 0;
    for (let index = 0; index < others.length; index += 1) {
      const y = TOP + index * ROW;
      if (y + ROW < view.top || y > view.top + view.height) continue;
      context.fillStyle = shade(scale, weightOf(index));
      context.beginPath();
      context.roundRect(x + 4, y + 2, this.left - 8, ROW - 4, 5);
      context.fill();
    }
    const inkOn = (index) => (isDeep(scale, weightOf(index)) ? "#ffffff" : "#14171c");
    const [own, ownX, otherX] = onLeft
      ? [layer.queries, this.left - 12, this.right + 12]
      : [layer.keys, this.right + 12, this.left - 12];
    this.paintWords(context, view, others, onLeft ? "left" : "right", otherX, inkOn);
    this.paintWords(context, view, own, onLeft ? "right" : "left", ownX, (index) =>
      index === (place.row ?? place.column) ? ink : palette().muted,
    );
    this.paintChosen(context, onLeft ? 0 : this.right, place.row ?? place.column, ink);
    this.paintTitles(context, view);
  }

  paintChosen(context, x, index, ink) {
    context.strokeStyle = ink;
    context.lineWidth = 1.5;
    context.beginPath();
    context.roundRect(x + 4, TOP + index * ROW + 2, this.left - 8, ROW - 4, 5);
    context.stroke();
  }

  shownHeads() {
    return this.heads.map((head, index) => ({ head, colour: this.lines[index].colour }));
  }

  /** The lines of one word, the weak ones too. */
  linesOfPlace(head, place) {
    const { layer } = this;
    const lines = [];
    const start = head * layer.rows * layer.columns;
    const count = place.row !== undefined ? layer.columns : layer.rows;
    for (let index = 0; index < count; index += 1) {
      const [row, column] = place.row !== undefined ? [place.row, index] : [index, place.column];
      const byte = layer.bytes[start + row * layer.columns + column];
      if (byte > 0) lines.push([row, column, byte]);
    }
    const shown =
      lines.length > MOST_LINES ? lines.sort((one, other) => other[2] - one[2]).slice(0, MOST_LINES) : lines;
    return shown.flat();
  }

  png() {
    return this.surface.png();
  }

  close() {
    this.surface.close();
  }
}
